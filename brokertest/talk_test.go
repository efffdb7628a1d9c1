package brokertest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// talk plays single lines of a scenario on a broker, inside a bubble.
type talk struct{ *player }

// inBubble runs a test on a broker in fake time.
func inBubble(t *testing.T, f func(t *testing.T, b *Broker, say func(lines ...string) []string), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := New(t, opts...)
		p := newTalk(t, b)
		defer p.hangup()
		f(t, b, p.say)
	})
}

func newTalk(t *testing.T, b *Broker) talk {
	return talk{&player{
		t:       t,
		dial:    func() (net.Conn, error) { return b.DialContext(t.Context(), "tcp", "") },
		login:   [2]string{"guest", "guest"},
		vhost:   "/",
		longer:  1,
		settle:  func(*player) { synctest.Wait() },
		clients: map[string]*rawClient{},
		opened:  map[string]bool{},
		users:   map[string]string{},
		names:   map[string]string{},
		ledgers: map[string]*ledger{},
		asked:   map[string]int{},
	}}
}

// say sends lines and returns what comes. A line "await 2" has it wait for so many methods where no request
// tells that they come.
func (k talk) say(lines ...string) []string {
	k.t.Helper()
	k.expected = 0
	for _, line := range lines {
		if n, ok := strings.CutPrefix(line, "await "); ok {
			k.expected, _ = strconv.Atoi(n)
			continue
		}
		if err := k.send(line); err != nil {
			k.t.Fatalf("> %s: %v", line, err)
		}
	}
	k.settle(k.player)
	return k.collect()
}

// expect compares lines.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
