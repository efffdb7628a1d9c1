package chaos

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/ledger"
)

// newLedger returns a ledger of a test, in files that a process that does not come to its end leaves behind. Every frame
// between clients that connect from now on and the brokers is in it. If the test fails, it is kept.
func newLedger(t testing.TB, brokers ...*broker) *ledger.Ledger {
	t.Helper()
	dir, err := os.MkdirTemp("", "warren-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Create(rand.Uint64(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("until the test has passed, its ledgers are in %s", dir)
	t.Cleanup(func() { keepTranscript(t, l, dir) })
	tap(l, brokers...)
	return l
}

// keepTranscript keeps what both ledgers of a failed test hold, as text and for ledger.Read, beside the methods that
// passed (wire.txt), and says where. Of a test that passed it keeps nothing.
func keepTranscript(t testing.TB, l *ledger.Ledger, dir string) {
	t.Helper()
	if !t.Failed() {
		if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
		return
	}
	history, err := l.History()
	if err != nil {
		t.Error(err)
	}
	out, err := os.Create(filepath.Join(dir, "transcript.txt"))
	if err != nil {
		t.Error(err)
		return
	}
	err = errors.Join(history.Transcript(out), out.Close(), l.Close())
	t.Logf("both ledgers are kept in %s (%v)", dir, err)
}

// ended is a test that has ended.
type ended struct {
	testing.TB
	failed bool
	log    []any
}

func (e *ended) Helper()                    {}
func (e *ended) Failed() bool               { return e.failed }
func (e *ended) Logf(_ string, args ...any) { e.log = append(e.log, args...) }

func TestAFailedRunKeepsItsTranscript(t *testing.T) {
	for _, failed := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "kept")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Create(1, dir)
		if err != nil {
			t.Fatal(err)
		}
		l.Publisher().Next(0, 0)
		l.Conn().ToBroker(declareFrame(t, "orders"))
		run := &ended{TB: t, failed: failed}
		keepTranscript(run, l, dir)
		text, err := os.ReadFile(filepath.Join(dir, "transcript.txt"))
		if !failed {
			if !errors.Is(err, os.ErrNotExist) || len(run.log) > 0 {
				t.Errorf("a run that passed keeps %q: %v, %v", text, run.log, err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(text), "invoke p1/1#1") || run.log[0] != dir {
			t.Errorf("transcript %q: %v, %v", text, run.log, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "wire.txt")); err != nil || !strings.Contains(string(text), "queue.declare Queue=orders") {
			t.Errorf("methods %q: %v", text, err)
		}
		if h, err := ledger.Read(dir); err != nil || h.Summary(0).Published != 1 {
			t.Errorf("read again: %v, %v", h.Summary(0), err)
		}
	}
}

func declareFrame(t *testing.T, queue string) wire.Frame {
	t.Helper()
	raw, err := wire.AppendMethod(nil, 1, &wire.QueueDeclare{Queue: queue})
	if err != nil {
		t.Fatal(err)
	}
	frame, _, err := wire.ParseFrame(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}
