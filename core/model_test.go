package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// oneSettler remembers the verdicts of one publish.
type oneSettler struct{ got []Outcome }

func (s *oneSettler) Settle(v Verdict) { s.got = append(s.got, v.Outcome) }

// runConfirms plays ops against the tracker and against the plainest model of
// it: one cell a publish. Each op is two octets: what, and on which tag.
func runConfirms(ops []byte) error {
	c := newConfirms()
	var settlers []*oneSettler
	var model []Outcome
	var returned []bool
	var out []settled
	end := func(tag uint64, o Outcome) {
		if i := int(tag - 1); model[i] == OutcomePending {
			if model[i] = o; returned[i] && o == OutcomeConfirmed {
				model[i] = OutcomeReturned
			}
		}
	}
	for ; len(ops) >= 2; ops = ops[2:] {
		n := uint64(len(settlers))
		tag := uint64(ops[1])
		switch op := ops[0] % 8; op {
		case 0, 1: // publish
			s := &oneSettler{}
			if got := c.add(s, n, n+1); got != n+1 {
				return fmt.Errorf("publish %d has tag %d", n+1, got)
			}
			settlers, model, returned = append(settlers, s), append(model, OutcomePending), append(returned, false)
		case 2, 3, 4, 5: // ack, ack multiple, nack, nack multiple
			o, multiple := OutcomeConfirmed, op == 3 || op == 5
			if op >= 4 {
				o = OutcomeNacked
			}
			var err error
			out, err = c.settle(out[:0], tag, multiple, o)
			if bad := tag > n || tag == 0 && !multiple; bad != (err != nil) {
				return fmt.Errorf("tag %d of %d, multiple %v: error %v", tag, n, multiple, err)
			}
			if err != nil {
				continue
			}
			if tag == 0 {
				tag = n
			}
			if !multiple {
				end(tag, o)
			}
			for i := uint64(1); multiple && i <= tag; i++ {
				end(i, o)
			}
		case 6: // return: marks are the tags
			found := c.giveBack(&Return{}, c.withMark(tag))
			open := tag >= 1 && tag <= n && model[tag-1] == OutcomePending && !returned[tag-1]
			if found != open {
				return fmt.Errorf("return of %d: found %v, open %v", tag, found, open)
			}
			if open {
				returned[tag-1] = true
			}
		case 7: // the channel dies; everything from tag on was not sent
			out = c.drain(out[:0], tag, nil)
			for i := range model {
				switch {
				case model[i] != OutcomePending:
				case returned[i]:
					model[i] = OutcomeReturned
				case uint64(i) >= tag:
					model[i] = OutcomeNotSent
				default:
					model[i] = OutcomeUnknown
				}
			}
		}
		for _, v := range out {
			v.settler.Settle(v.verdict)
		}
		out = out[:0]
		if err := compareConfirms(&c, settlers, model); err != nil {
			return err
		}
	}
	return nil
}

func compareConfirms(c *confirms, settlers []*oneSettler, model []Outcome) error {
	open := 0
	for i, s := range settlers {
		var want []Outcome
		if model[i] != OutcomePending {
			want = []Outcome{model[i]}
		} else {
			open++
		}
		if !slices.Equal(s.got, want) {
			return fmt.Errorf("publish %d: verdicts %v, want %v", i+1, s.got, want)
		}
	}
	if c.open != open {
		return fmt.Errorf("%d open, want %d", c.open, open)
	}
	return nil
}

// FuzzConfirms: every publish gets the verdict of the model, exactly once.
func FuzzConfirms(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 4, 1, 3, 2, 7, 0})
	f.Add([]byte{0, 0, 0, 0, 6, 2, 6, 1, 3, 0, 2, 2})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 500 {
			return
		}
		if err := runConfirms(ops); err != nil {
			t.Error(err)
		}
	})
}

func TestConfirmsAgainstTheModel(t *testing.T) {
	for seed := range uint64(2000) {
		if err := runConfirms(randomOps(seed, 200)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// randomOps are octets from a small range, so that tags and ops meet.
func randomOps(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	ops := make([]byte, n)
	for i := range ops {
		ops[i] = byte(r.IntN(40))
	}
	return ops
}

// broker is what a server makes of the acks it gets: which tags are
// unsettled, and how each was settled.
type broker struct {
	open map[uint64]bool
	got  map[uint64]string
}

// read applies frames as RabbitMQ does: a tag that is not unsettled is a fault.
func (b *broker) read(frames []byte) error {
	var dec wire.Decoder
	for len(frames) > 0 {
		f, n, err := wire.ParseFrame(frames, 0)
		if err != nil || n == 0 {
			return fmt.Errorf("no frame: %v", err)
		}
		frames = frames[n:]
		m, err := dec.Method(f.Payload)
		if err != nil {
			return err
		}
		var tag uint64
		var multiple bool
		var how string
		switch m := m.(type) {
		case *wire.BasicAck:
			tag, multiple, how = m.DeliveryTag, m.Multiple, "ack"
		case *wire.BasicNack:
			tag, multiple, how = m.DeliveryTag, m.Multiple, fmt.Sprint("nack ", m.Requeue)
		case *wire.BasicReject:
			tag, how = m.DeliveryTag, fmt.Sprint("reject ", m.Requeue)
		}
		if err := b.settle(tag, multiple, how); err != nil {
			return err
		}
	}
	return nil
}

func (b *broker) settle(tag uint64, multiple bool, how string) error {
	if !b.open[tag] && !(multiple && tag == 0) {
		return fmt.Errorf("%s of tag %d, which is not unsettled", how, tag)
	}
	for t := range b.open {
		if t == tag || multiple && (t < tag || tag == 0) {
			b.got[t] = how
			delete(b.open, t)
		}
	}
	return nil
}

// runAcks plays ops on the acks of a channel: whatever is called, and whenever
// the writer collects, the broker must end up with exactly what was called.
func runAcks(ops []byte) error {
	a := newAcks(1, false)
	b := &broker{map[uint64]bool{}, map[uint64]string{}}
	want := map[uint64]string{}
	delivered, requeued, recovers := uint64(0), uint64(0), 0
	stale := func(tag uint64) bool { return recovers > 0 || tag > 0 && tag <= requeued }
	for ; len(ops) >= 2; ops = ops[2:] {
		tag := uint64(ops[1])
		switch op := ops[0] % 10; op {
		case 0, 1, 2: // a delivery
			delivered++
			if recovers == 0 { // else it was on its way, and is requeued too
				b.open[delivered] = true
			}
			a.delivered.Store(delivered)
		case 3, 4: // ack
			if tag == 0 || tag > delivered {
				continue
			}
			_, err := a.ack(tag)
			if (want[tag] != "" || stale(tag)) != (err != nil) {
				return fmt.Errorf("ack %d, settled as %q: %v", tag, want[tag], err)
			}
			if err == nil {
				want[tag] = "ack"
			}
		case 5, 6, 7, 8: // nack, reject, nack multiple, ack multiple
			s := settlement{method: wire.MethodBasicNack, tag: tag, requeue: tag%2 == 0, multiple: op >= 7}
			how := fmt.Sprint("nack ", s.requeue)
			switch op {
			case 6:
				s.method, how = wire.MethodBasicReject, fmt.Sprint("reject ", s.requeue)
			case 8:
				s.method, how, s.requeue = wire.MethodBasicAck, "ack", false
			}
			if tag > delivered || tag == 0 && !s.multiple {
				continue
			}
			var meant []uint64
			for t := uint64(1); t <= delivered; t++ {
				if (t == tag || s.multiple && (t < tag || tag == 0)) && want[t] == "" && !stale(t) {
					meant = append(meant, t)
				}
			}
			_, err := a.settle(s)
			if wantErr := stale(tag) || len(meant) == 0 && tag != 0; wantErr != (err != nil) {
				return fmt.Errorf("%s of %d: %v", how, tag, err)
			}
			for _, t := range meant {
				want[t] = how
			}
		case 9:
			if err := playWriter(a, b, tag, &recovers); err != nil {
				return err
			}
			if tag%8 == opRecoverOk && recovers > 0 {
				a.recovered(delivered)
				recovers--
				requeued = delivered
			}
		}
	}
	if err := b.read(a.collect(nil)); err != nil {
		return err
	}
	for t := uint64(1); t <= delivered; t++ {
		if b.got[t] != want[t] {
			return fmt.Errorf("tag %d: the broker has %q, want %q", t, b.got[t], want[t])
		}
	}
	return nil
}

// What comes by in runAcks.
const (
	opRecover   = 6
	opRecoverOk = 7
)

// playWriter has the writer collect the acks, sometimes for a recover.
func playWriter(a *acks, b *broker, op uint64, recovers *int) error {
	if op%8 != opRecover {
		return b.read(a.collect(nil))
	}
	*recovers++
	if err := b.read(a.collectBefore(nil, wire.MethodBasicRecover)); err != nil {
		return err
	}
	clear(b.open)
	return nil
}

// FuzzAcks: what the broker gets is what was called, however it was gathered.
func FuzzAcks(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 3, 3, 3, 1, 5, 2}) // ack 3, ack 1, nack 2
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 3, 3, 7, 4})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 500 {
			return
		}
		if err := runAcks(ops); err != nil {
			t.Error(err)
		}
	})
}

func TestAcksAgainstTheModel(t *testing.T) {
	for seed := range uint64(3000) {
		if err := runAcks(randomOps(seed, 200)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// runBits plays ops on a bitRing and on a slice of bools.
func runBits(ops []byte) error {
	var r bitRing
	var model []bool
	for ; len(ops) >= 2; ops = ops[2:] {
		i := uint64(ops[1]) * 3
		switch ops[0] % 4 {
		case 0, 1:
			for uint64(len(model)) <= i {
				model = append(model, false)
			}
			r.set(i)
			model[i] = true
		case 2:
			r.shift()
			if len(model) > 0 {
				model = model[1:]
			}
		case 3:
			r.drop(i)
			model = model[min(int(i), len(model)):]
		}
		for i := range uint64(len(model) + 100) {
			if got, want := r.get(i), i < uint64(len(model)) && model[i]; got != want {
				return fmt.Errorf("bit %d is %v", i, got)
			}
		}
	}
	return nil
}

func FuzzBitRing(f *testing.F) {
	f.Add([]byte{0, 5, 2, 0, 3, 1, 0, 200})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 300 {
			return
		}
		if err := runBits(ops); err != nil {
			t.Error(err)
		}
	})
}

func TestBitRingAgainstTheModel(t *testing.T) {
	for seed := range uint64(500) {
		if err := runBits(randomOps(seed, 100)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
