package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/faultproxy"
	"github.com/warren-mq/warren/internal/ledger"
)

// tap has the ledger see every frame that passes between clients and a broker from now on. A load is judged by
// the wire only if all its brokers are tapped before it connects.
func tap(l *ledger.Ledger, nodes ...*broker) {
	for _, b := range nodes {
		b.proxy.Observe(func() faultproxy.Observer { return l.Conn() })
	}
}

// judge has the ledger checked by every rule that a load is to keep, while the client is still open and after
// the queues have run empty. It says what the broker held at last.
func (l *load) judge(t *testing.T, drained bool, after string) {
	t.Helper()
	rules := ledger.Rules{
		Queues: []string{mainQueue}, Replay: true, Patient: true,
		Prefetch:  map[string]int{mainQueue: l.plan.prefetch},
		Consumers: map[string]int{mainQueue: 1},
		Recovery:  recoverTimeout, MinConfirmed: l.plan.messages, MinConsumed: l.plan.messages,
		MinUnresolved: l.muted,
	}
	if l.plan.stream() {
		rules.Streams = []string{mainQueue}
	}
	facts := ledger.Facts{Drained: drained}
	if after != "" { // else nobody could look, and that was told
		facts.Declared, facts.Actual = strings.Split(l.before, "\n"), strings.Split(after, "\n")
	}
	report, err := l.ledger.Check(rules, facts)
	if err != nil {
		t.Fatal(err)
	}
	if report.Verdict() != ledger.Green {
		t.Errorf("%s", report)
		return
	}
	t.Logf("verdict: %s; from the end of a fault to progress: %+v", report.Verdict(), report.Recovery)
}

// keepTranscript keeps what both ledgers of a failed run hold, as text and for ledger.Read, and says where.
func (l *load) keepTranscript(t testing.TB) {
	if !t.Failed() {
		return
	}
	history, err := l.ledger.History()
	if err != nil {
		t.Error(err)
		return
	}
	dir, err := os.MkdirTemp("", "warren-chaos-")
	if err != nil {
		t.Error(err)
		return
	}
	out, err := os.Create(filepath.Join(dir, "transcript.txt"))
	if err != nil {
		t.Error(err)
		return
	}
	err = errors.Join(history.Write(dir), history.Transcript(out), out.Close())
	t.Logf("both ledgers are kept in %s (%v)", dir, err)
}
