package recovery

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
)

// The answers to the consumes before the refused one need not have come when the broker
// closes the channel over it: none of those is put off in its place.
func TestOfSeveralConsumersOnlyTheRefusedOneIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, Config{})
		ch := b.channel(t)
		for _, q := range []string{"one", "two", "gone", "three"} {
			foreign(t, b, q)
			consume(t, ch, q, q)
		}
		b.Stop()
		b.DeleteQueue("gone")
		b.Start()
		time.Sleep(time.Minute)
		for _, e := range b.journal.of(ConsumerLost) {
			if !strings.Contains(e.Entity, "gone") {
				t.Errorf("%s is lost: %v", e.Entity, e.Err)
			}
		}
		if got := tags(b.Broker); len(strings.Fields(got)) != 3 || strings.Contains(got, "gone") {
			t.Errorf("consumers %s", got)
		}
		foreign(t, b, "gone")
		b.ready(t)
		must(t, ch.Qos(t.Context(), core.BasicQos{PrefetchCount: 1}))
		if got := tags(b.Broker); len(strings.Fields(got)) != 4 {
			t.Errorf("consumers %s", got)
		}
	})
}
