package record_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// missing answers passive declarations of names with 404.
func missing(names ...string) func(uint16, wire.Method) wire.Method {
	return func(_ uint16, m wire.Method) wire.Method {
		switch d := m.(type) {
		case *wire.QueueDeclare:
			if d.Passive && slices.Contains(names, "q "+d.Queue) {
				return refusal(core.ErrNotFound, m)
			}
		case *wire.ExchangeDeclare:
			if d.Passive && slices.Contains(names, "x "+d.Exchange) {
				return refusal(core.ErrNotFound, m)
			}
		}
		return nil
	}
}

func TestSurvey(t *testing.T) {
	connection := []string{"x ad", "x chain", "q held", "q ours", "q amq.gen-x",
		"d→held", "d→ours", "d→amq.gen-x", "chain⇒ad", "ad→held"}
	for _, c := range []struct {
		name    string
		loss    record.Loss
		missing []string
		want    []string // what is missing with a "!"
	}{
		{"nothing is lost", record.LossNone, nil, nil},
		{"the last binding of an auto-delete exchange", record.LossNone, []string{"q held"},
			[]string{"x ad", "x chain", "!q held", "d→held", "chain⇒ad", "ad→held"}},
		{"all else is there", record.LossConnection, nil, connection},
		{"a queue is missing", record.LossConnection, []string{"q durable"},
			[]string{"x ad", "x chain", "!q durable", "q held", "q ours", "q amq.gen-x",
				"d→durable", "d→held", "d→ours", "d→amq.gen-x", "t→durable", "chain⇒ad", "ad→held"}},
		{"an exchange is missing", record.LossConnection, []string{"x t"},
			[]string{"!x t", "x ad", "x chain", "q held", "q ours", "q amq.gen-x",
				"d→held", "d→ours", "d→amq.gen-x", "t→durable", "chain⇒ad", "ad→held"}},
		{"everything", record.LossEverything, nil,
			[]string{"x d", "x t", "x ad", "x chain", "q durable", "q transient", "q held", "q idle", "q ours", "q survivor", "q amq.gen-x",
				"d→durable", "d→transient", "d→held", "d→idle", "d→ours", "d→survivor", "d→amq.gen-x", "t→durable", "chain⇒ad", "ad→held"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := lossRecorder(t)
				before := r.Len()
				conn, _ := connect(t, time.Millisecond, missing(c.missing...))
				phases, err := r.Survey(t.Context(), conn, c.loss)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, p := range phases {
					for _, s := range p.Steps {
						mark := ""
						if s.Missing {
							mark = "!"
						}
						got = append(got, mark+planned([]record.Phase{{Steps: []record.Step{s}}})[0])
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("planned %q\nwant    %q", got, c.want)
				}
				if r.Len() != before {
					t.Error("something was forgotten")
				}
			})
		})
	}
}

// TestSurveyOfAnEmptyBroker does not pay a channel for every entity.
func TestSurveyOfAnEmptyBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		for i := range 5000 {
			add(t, r, q(fmt.Sprintf("q%d", i)))
		}
		conn, f := connect(t, 5*time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if m.ID() == wire.MethodQueueDeclare {
				return refusal(core.ErrNotFound, m)
			}
			return nil
		})
		phases, err := r.Survey(t.Context(), conn, record.LossConnection)
		if err != nil || len(phases[1].Steps) != 5000 {
			t.Fatalf("%d steps, error %v", len(phases[1].Steps), err)
		}
		if channels, _ := f.counts(); channels > 400 {
			t.Errorf("it took %d channels", channels)
		}
	})
}

// TestSurveyAlwaysLooksForStreams: whoever reads one must know that its offsets begin again.
func TestSurveyAlwaysLooksForStreams(t *testing.T) {
	tests := []struct {
		name   string
		loss   record.Loss
		others int // other queues, which are gone
		gone   string
	}{
		{"an empty broker", record.LossConnection, 300, "gone kept"},
		{"one that was not asked", record.LossEverything, 10, "gone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record.NewRecorder()
				add(t, r, topology.Queue{Name: "gone", Type: topology.Stream}, topology.Queue{Name: "kept", Type: topology.Stream})
				var names []string
				for name := range strings.FieldsSeq(test.gone) {
					names = append(names, "q "+name)
				}
				for i := range test.others {
					add(t, r, q(fmt.Sprint(i)))
					names = append(names, fmt.Sprintf("q %d", i))
				}
				conn, _ := connect(t, time.Millisecond, missing(names...))
				phases, err := r.Survey(t.Context(), conn, test.loss)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, s := range phases[1].Steps {
					if s.Missing {
						got = append(got, s.Name)
					}
				}
				if strings.Join(got, " ") != test.gone || len(phases[1].Steps) != test.others+2 {
					t.Errorf("missing %v of %d; want %s", got, len(phases[1].Steps), test.gone)
				}
			})
		})
	}
}
