package record_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/record"
	"github.com/warren-mq/warren/topology"
)

// outcomes returns results in short: the name declared, or the code of its refusal.
func outcomes(results []record.Result) []string {
	var out []string
	for _, r := range results {
		text := r.QueueName()
		if e, ok := errs.AsType[*core.Error](r.Err); ok {
			text += fmt.Sprint(" ", uint16(e.Code))
		} else if r.Err != nil {
			text += " failed"
		}
		out = append(out, text)
	}
	return out
}

// TestReplayCostsRoundTripsNotEntities runs in fake time, where only the
// network takes any.
func TestReplayCostsRoundTripsNotEntities(t *testing.T) {
	const trip = 10 * time.Millisecond
	for _, c := range []struct {
		steps int
		trips time.Duration
	}{{1, 3}, {300, 3}, {8 * 1024, 3}, {50_000, 9}} { // one opens the channels, one closes them
		synctest.Test(t, func(t *testing.T) {
			conn, f := connect(t, trip/2, nil)
			begun := time.Now()
			results, err := record.Replay(t.Context(), conn, queueSteps(c.steps))
			if err != nil || len(results) != c.steps || len(f.log()) != c.steps {
				t.Fatalf("%d results of %d, %d declared, error %v", len(results), c.steps, len(f.log()), err)
			}
			if took := time.Since(begun); took > c.trips*trip {
				t.Errorf("%d steps took %s, %d round trips", c.steps, took, took/trip)
			}
		})
	}
}

func TestReplayUsesSeveralChannels(t *testing.T) {
	for _, c := range []struct{ steps, channels, want int }{
		{1, 0, 1}, {31, 0, 1}, {32, 0, 2}, {300, 0, 8}, {10_000, 0, 8}, {10_000, 1, 1}, {10_000, 3, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, f := connect(t, time.Millisecond, nil)
			results, err := record.Replayer{Channels: c.channels}.Replay(t.Context(), conn, queueSteps(c.steps))
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if r.QueueName() != fmt.Sprintf("q%d", i) {
					t.Fatalf("result %d is of %s", i, r.QueueName())
				}
			}
			if channels, most := f.counts(); channels != c.want || most != c.want {
				t.Errorf("%d steps on %d channels, %d at once, want %d", c.steps, channels, most, c.want)
			}
			synctest.Wait()
			if left := len(f.open); left > 0 {
				t.Errorf("%d channels are left open", left)
			}
		})
	}
}

func TestReplayNamesTheCulprits(t *testing.T) {
	for _, window := range []int{1, 2, 3, 1024} {
		synctest.Test(t, func(t *testing.T) {
			conn, f := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
				switch {
				case declares(m, "q1"), declares(m, "q2"), declares(m, "q9"):
					return refusal(core.ErrPreconditionFailed, m)
				case declares(m, "q5"):
					return refusal(core.ErrAccessRefused, m)
				}
				return nil
			})
			results, err := record.Replayer{Window: window}.Replay(t.Context(), conn, queueSteps(10))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"q0", "q1 406", "q2 406", "q3", "q4", "q5 403", "q6", "q7", "q8", "q9 406"}
			if got := outcomes(results); !slices.Equal(got, want) {
				t.Errorf("window %d: %q", window, got)
			}
			if got := f.log(); !slices.Equal(got, []string{"q q0", "q q3", "q q4", "q q6", "q q7", "q q8"}) {
				t.Errorf("window %d: declared %q", window, got)
			}
		})
	}
}

func TestReplayGoesOnBehindWhatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, nil)
		steps := queueSteps(3)
		steps[1].Method = &core.QueueDeclare{Queue: "q1", Arguments: core.Table{"x": struct{}{}}}
		results, err := record.Replay(t.Context(), conn, steps)
		if got := outcomes(results); err != nil || !slices.Equal(got, []string{"q0", "q1 failed", "q2"}) {
			t.Errorf("%q, error %v", got, err)
		}
		if channels, _ := f.counts(); channels != 1 {
			t.Errorf("%d channels", channels)
		}
	})
}

func TestReplayCondemnsASilentChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if declares(m, "q1") {
				return silence
			}
			return nil
		})
		// The fake answers what follows on the same channel; a broker would not.
		f.answer = silentBehind(f.answer, "q1")
		results, err := record.Replay(t.Context(), conn, queueSteps(4))
		if err != nil || len(results) != 4 || !errors.Is(results[1].Err, core.ErrTimeout) {
			t.Fatalf("%q, error %v", outcomes(results), err)
		}
		if got := outcomes(results); !slices.Equal(got, []string{"q0", "q1 failed", "q2", "q3"}) {
			t.Errorf("%q", got)
		}
	})
}

// silentBehind answers nothing on a channel once queue was declared on it,
// but its closing.
func silentBehind(answer func(uint16, wire.Method) wire.Method, queue string) func(uint16, wire.Method) wire.Method {
	stuck := map[uint16]bool{}
	return func(channel uint16, m wire.Method) wire.Method {
		if m.ID() == wire.MethodChannelOpen || m.ID() == wire.MethodChannelClose {
			stuck[channel] = false
			return nil
		}
		stuck[channel] = stuck[channel] || declares(m, queue)
		if stuck[channel] {
			return silence
		}
		return answer(channel, m)
	}
}

// A connection that dies because its peer does not read is nobody's refusal.
func TestReplayBlamesNobodyForAStalledConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.New(t)
		conn, err := core.Dial(t.Context(), core.Config{
			DialContext: b.DialContext, Heartbeat: -1, WriteTimeout: 5 * time.Second, RPCTimeout: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		b.OnReceive(wire.MethodQueueDeclare, func(brokertest.Event) brokertest.Action {
			b.Links()[0].StallReceiving()
			return brokertest.Swallow
		})
		var steps []record.Step
		for i := range 40 {
			q := topology.Queue{Name: fmt.Sprint(i), Arguments: topology.Table{"x-much": strings.Repeat("x", 100<<10)}}
			steps = append(steps, record.Step{Entity: q, Method: q.Declare()})
		}
		results, err := record.Replayer{Channels: 1}.Replay(t.Context(), conn, steps)
		interrupted, ok := errs.AsType[*record.InterruptedError](err)
		if !ok || !errors.Is(conn.Err(), core.ErrTimeout) || len(results) != 0 || len(interrupted.InFlight) == 0 {
			t.Errorf("%d results, error %v, connection lost for %v", len(results), err, conn.Err())
		}
	})
}

func TestReplaySuspectsWhatKillsTheConnection(t *testing.T) {
	named := func(m wire.Method) wire.Method { return hangUp(core.ErrInternal, m) }
	unnamed := func(wire.Method) wire.Method { return &wire.ConnectionClose{ReplyCode: uint16(core.ErrInternal)} }
	forced := func(wire.Method) wire.Method {
		return &wire.ConnectionClose{ReplyCode: uint16(core.ErrConnectionForced)}
	}
	for _, c := range []struct {
		name     string
		kill     func(wire.Method) wire.Method
		window   int
		suspects []string
	}{
		{"several in flight", named, 1024, []string{"q2", "q3", "q4"}},
		{"one in flight", named, 1, []string{"q2"}},
		{"several, no method named", unnamed, 1024, []string{"q2", "q3", "q4"}},
		{"one, no method named", unnamed, 1, []string{"q2"}},
		{"an operator", forced, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
					if declares(m, "q2") {
						return c.kill(m)
					}
					return nil
				})
				results, err := record.Replayer{Window: c.window}.Replay(t.Context(), conn, queueSteps(5))
				if got := outcomes(results); !slices.Equal(got, []string{"q0", "q1"}) {
					t.Errorf("results %q", got)
				}
				e, ok := errs.AsType[*record.InterruptedError](err)
				if !ok {
					t.Fatalf("error %v", err)
				}
				if got := stepNames(e.Suspects()); !slices.Equal(got, c.suspects) {
					t.Errorf("suspects %q; want %q", got, c.suspects)
				}
			})
		})
	}
}

func stepNames(steps []record.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name)
	}
	return out
}

// TestSuspectsOfSeveralChannels: each channel's oldest comes first.
func TestSuspectsOfSeveralChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if declares(m, "q100") {
				return hangUp(core.ErrInternal, m)
			}
			return nil
		})
		results, err := record.Replay(t.Context(), conn, queueSteps(200))
		e, ok := errs.AsType[*record.InterruptedError](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		suspects := stepNames(e.Suspects())
		if at := slices.Index(suspects, "q100"); at < 0 || at >= 8 {
			t.Errorf("the culprit is no. %d of %d suspects on 8 channels", at, len(suspects))
		}
		if len(results)+len(e.InFlight) > 200 {
			t.Errorf("%d results and %d in flight", len(results), len(e.InFlight))
		}
	})
}

func TestReplayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if m.ID() == wire.MethodQueueDeclare && !declares(m, "q0") {
				return silence
			}
			return nil
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, core.ErrTimeout)
		defer cancel()
		results, err := record.Replay(ctx, conn, queueSteps(3))
		if !errors.Is(err, core.ErrTimeout) || len(results) != 1 {
			t.Errorf("%q, error %v", outcomes(results), err)
		}
		e, _ := errs.AsType[*record.InterruptedError](err)
		if e == nil || len(e.InFlight) != 2 || len(e.Suspects()) != 0 {
			t.Errorf("interruption %+v", e)
		}
		if conn.Err() != nil {
			t.Errorf("the connection is dead: %v", conn.Err())
		}
	})
}

func TestReplayLooksForServerNamedQueuesThatMaySurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		for i := range 4 {
			_ = r.Queue(topology.Queue{}, fmt.Sprintf("amq.old-%d", i))
		}
		conn, f := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			if declares(m, "amq.old-1") || declares(m, "amq.old-2") {
				return refusal(core.ErrNotFound, m)
			}
			return nil
		})
		steps := r.Plan()[1].Steps
		results, err := record.Replay(t.Context(), conn, steps)
		if got := outcomes(results); err != nil || !slices.Equal(got, []string{"amq.old-0", "amq.gen-1", "amq.gen-2", "amq.old-3"}) {
			t.Errorf("%q, error %v", got, err)
		}
		if _, passive := results[1].Step.Method.(*core.QueueDeclare); !passive || results[1].Step.Else == nil {
			t.Errorf("the result is of another step: %+v", results[1].Step)
		}
		if results[1].Name != "amq.old-1" {
			t.Errorf("replaced %q", results[1].Name)
		}
		if d := steps[1].Method.(*core.QueueDeclare); !d.Passive {
			t.Error("the caller's steps were changed")
		}
		t.Log(f.log())
	})
}

func TestReplayDoesNotBringBackWhatIsDeletedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name string
		late bool // the deletion comes while the declaration is in flight
		do   func(r *record.Recorder)
		want []string
	}{
		{"deleted before", false, func(r *record.Recorder) { r.DeleteQueue("q1") }, []string{"q q0", "q q2"}},
		{"deleted in flight", true, func(r *record.Recorder) { r.DeleteQueue("q1") },
			[]string{"q q0", "q q1", "q q2", "delete q q1 false"}},
		{"last consumer gone in flight", true, func(r *record.Recorder) { r.ConsumerAdded("q2"); r.ConsumerRemoved("q2") },
			[]string{"q q0", "q q1", "q q2", "delete q q2 true"}},
		{"forgotten in flight", true, func(r *record.Recorder) {
			r.Forget(topology.Topology{Queues: []topology.Queue{q("q1")}})
		}, []string{"q q0", "q q1", "q q2"}},
		{"deleted in flight and declared again", true, func(r *record.Recorder) { r.DeleteQueue("q1"); _ = r.Queue(q("q1"), "q1") },
			[]string{"q q0", "q q1", "q q2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := record.NewRecorder()
				add(t, r, q("q0"), q("q1"), qad("q2"))
				steps := r.Plan()[1].Steps
				conn, f := connect(t, 10*time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
					if c.late && declares(m, "q2") {
						c.do(r)
					}
					return nil
				})
				if !c.late {
					c.do(r)
				}
				if _, err := record.Replay(t.Context(), conn, steps); err != nil {
					t.Fatal(err)
				}
				if got := f.log(); !slices.Equal(got, c.want) {
					t.Errorf("the broker saw %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestReplayOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, nil)
		results, err := record.Replay(t.Context(), conn, nil)
		if channels, _ := f.counts(); len(results) != 0 || err != nil || channels != 0 {
			t.Errorf("%v, error %v, %d channels", results, err, channels)
		}
	})
}

// TestBindingsFollowTheirQueues replays one plan in which a queue gets another
// name: its bindings are declared under that.
func TestBindingsFollowTheirQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record.NewRecorder()
		_ = r.Queue(topology.Queue{Exclusive: true}, "amq.old")
		add(t, r, b("amq.topic", "amq.old"), b("amq.topic", "other"))
		conn, f := connect(t, time.Millisecond, nil)
		for _, phase := range r.Plan() {
			results, err := record.Replay(t.Context(), conn, phase.Steps)
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range results {
				if _, is := result.Entity.(topology.Queue); is {
					r.Renamed(result.Name, result.QueueName())
				}
			}
			if phase.Name == "bindings" && results[0].Entity.(topology.Binding).Destination != "amq.gen-1" {
				t.Errorf("the result names %s", results[0].Entity)
			}
		}
		if got := f.log(); !slices.Equal(got, []string{"q ", "amq.topic→amq.gen-1", "amq.topic→other"}) {
			t.Errorf("the broker saw %q", got)
		}
	})
}

// TestReplayMakesDoWithTheChannelsThatAreLeft: here three, then none.
func TestReplayMakesDoWithTheChannelsThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, nil)
		var taken []*core.Channel
		for range fakeChannelMax - 3 {
			ch, err := conn.Channel(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, ch)
		}
		results, err := record.Replay(t.Context(), conn, queueSteps(500))
		if err != nil || len(results) != 500 || len(f.log()) != 500 {
			t.Errorf("%d results, error %v", len(results), err)
		}
		for range 3 {
			ch, err := conn.Channel(t.Context())
			if err != nil {
				t.Fatal("a channel was left open: ", err)
			}
			taken = append(taken, ch)
		}
		results, err = record.Replay(t.Context(), conn, queueSteps(500))
		if _, ok := errs.AsType[*record.InterruptedError](err); !ok || !errors.Is(err, core.ErrChannelsExhausted) || len(results) != 0 {
			t.Errorf("%d results, error %v", len(results), err)
		}
		if taken[0].Err() != nil {
			t.Error("another channel was hurt")
		}
	})
}

func TestAnInterruptionTellsWhatWasInFlight(t *testing.T) {
	for n, want := range map[int]string{0: "replay interrupted: EOF", 3: "replay interrupted with 3 declarations in flight: EOF"} {
		err := &record.InterruptedError{InFlight: make([]record.Step, n), Err: io.EOF}
		if err.Error() != want || !errors.Is(err, io.EOF) {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
}
