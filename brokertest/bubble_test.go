package brokertest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSocketsInABubbleAreRefused: they would hang it without a word.
func TestSocketsInABubbleAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(t)
		for name, f := range map[string]func(){
			"URL": func() { b.URL() }, "TLSURL": func() { b.TLSURL() }, "Addr": func() { b.Addr() },
		} {
			func() {
				defer func() {
					if text := fmt.Sprint(recover()); !strings.Contains(text, "Broker.DialContext") {
						t.Errorf("%s: %s", name, text)
					}
				}()
				f()
			}()
		}
		if err := b.Listen("127.0.0.1:0"); !errors.Is(err, errBubble) {
			t.Errorf("listen: %v", err)
		}
	})
	if New(t).URL() == "" {
		t.Error("no URL outside")
	}
}

func TestAwait(t *testing.T) {
	count := 0
	holds := func() bool { count++; return count == 5 }
	Await(t, time.Minute, "the fifth call", holds)
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var done atomic.Bool
		go func() {
			time.Sleep(time.Hour)
			done.Store(true)
		}()
		Await(t, 2*time.Hour, "the goroutine", done.Load)
		if took := time.Since(begun); took < time.Hour || took > time.Hour+2*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
	failing := &failed{TB: t}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		Await(failing, time.Millisecond, "what never comes", func() bool { return false })
		t.Error("it went on")
	}()
	<-ended
	if failing.text != "brokertest: what never comes: not within 1ms" {
		t.Errorf("failed with %q", failing.text)
	}
}

// failed is a test that may fail.
type failed struct {
	testing.TB
	text string
}

func (f *failed) Fatalf(format string, a ...any) {
	f.text = fmt.Sprintf(format, a...)
	runtime.Goexit()
}
