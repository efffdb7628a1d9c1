package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A scripted ledger is a history in words, for tests: events separated by semicolons, ten
// milliseconds apart. The numbers that AMQP counts up are counted here too.
//
//	invoke M, again M, result M OUTCOME       the application publishes message M (publisher 1), once more; how it ended
//	to KEY                                     the messages that follow are published with that routing key
//	handle Q M, rehandle Q M, handled Q M, failed Q M
//	receive Q M KEY H                          handle, with a routing key and the header of message H
//	conn, open E, select E, close E, refuse E  a connection; a channel epoch: opened, in confirm mode, ended by client, server
//	silent E MS                               ended, when the broker has said nothing for so long
//	pub E M, pubto E M KEY, ack E T, acks E T, nack E T, return E M
//	qos E N, consume E Q, cancel E C, revoke E C
//	deliver E C M, deliverto E C M KEY, redeliver E C M, strange E C M (with another routing key), settle E T, settles E T, requeue E T, reject E T
//	…deliver E C M dead                        dead-lettered on its way
//	wait, fault F, effect F, end F, lose Q, keep Q, call NAME TOOK LIMIT
type scripted struct {
	Ledger    *Ledger
	publisher *Publisher
	now       time.Duration
	confirms  map[uint32]uint64 // publishes since confirm.select, by epoch
	delivered map[uint32]uint64
	faults    map[string]*Fault
	windows   map[string]func()
}

func play(t *testing.T, text string) *Ledger {
	t.Helper()
	s := &scripted{
		Ledger: New(1), confirms: map[uint32]uint64{}, delivered: map[uint32]uint64{},
		faults: map[string]*Fault{}, windows: map[string]func(){},
	}
	s.Ledger.clock = func() time.Duration { return s.now }
	s.publisher = s.Ledger.Publisher()
	for _, event := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		if words := strings.Fields(event); len(words) > 0 {
			s.now += 10 * time.Millisecond
			if !s.application(words) && !s.channel(words) && !s.rest(words) {
				t.Fatalf("no such event: %s", event)
			}
		}
	}
	return s.Ledger
}

func number(words []string, i int) uint64 {
	n, err := strconv.ParseUint(words[i], 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%v: %v", words, err))
	}
	return n
}

func scriptID(m uint64) ID { return ID{Run: 1, Publisher: 1, Seq: m, Attempt: 1} }

func scriptRecord(kind Kind, m uint64) Record {
	_, crc, _ := decodePrefix(scriptID(m).AppendBody(nil, 0))
	return Record{Kind: kind, Pub: 1, Seq: pack(m, 1), CRC: crc}
}

func (s *scripted) application(w []string) bool {
	switch w[0] {
	case "to":
		s.publisher.To("", w[1])
	case "receive":
		body, header := scriptID(number(w, 2)).AppendBody(nil, 0), scriptID(number(w, 4)).AppendBody(nil, 0)
		_, _ = s.Ledger.Consumer(w[1]).Receive(Received{Key: w[3], Headers: Headers(header), Body: body, Tag: 1})
	case "invoke":
		s.publisher.invoke(scriptID(number(w, 1)), 0)
	case "again":
		s.publisher.Again(Message{ID: scriptID(number(w, 1))})
	case "result":
		for o := range outcomes {
			if o.String() == strings.Join(w[2:], " ") {
				s.publisher.Result(scriptID(number(w, 1)), o)
			}
		}
	case "handle", "rehandle":
		_, _ = s.Ledger.Consumer(w[1]).Deliver(scriptID(number(w, 2)).AppendBody(nil, 0), 1, w[0] == "rehandle")
	case "handled":
		s.Ledger.Consumer(w[1]).End(scriptID(number(w, 2)), 1, nil)
	case "failed":
		s.Ledger.Consumer(w[1]).End(scriptID(number(w, 2)), 1, ErrCorrupt)
	default:
		return false
	}
	return true
}

func (s *scripted) channel(w []string) bool {
	if len(w) < 2 {
		return false
	}
	e, err := strconv.ParseUint(w[1], 10, 32)
	if err != nil {
		return false
	}
	r := Record{Epoch: uint32(e)}
	if len(w) > 2 {
		r.Tag, _ = strconv.ParseUint(w[2], 10, 64)
	}
	kinds := map[string]struct {
		kind  Kind
		flags Flags
	}{
		"open": {EpochOpen, 0}, "select": {ConfirmSelect, 0}, "close": {EpochClose, 0}, "refuse": {EpochClose, ByServer},
		"ack": {Confirm, 0}, "acks": {Confirm, Multiple}, "nack": {Confirm, Negative}, "qos": {Qos, 0},
		"cancel": {Cancel, 0}, "revoke": {Cancel, ByServer},
		"settle": {WireSettle, 0}, "settles": {WireSettle, Multiple}, "requeue": {WireSettle, Negative | Requeue}, "reject": {WireSettle, Negative},
	}
	switch k, simple := kinds[w[0]]; {
	case simple:
		r.Kind, r.Flags = k.kind, k.flags
	case w[0] == "pub" || w[0] == "pubto":
		s.confirms[r.Epoch]++
		r = scriptRecord(WirePub, number(w, 2))
		r.Tag = s.confirms[uint32(e)]
		if w[0] == "pubto" {
			r.Node = route("", w[3])
		}
	case w[0] == "silent":
		r = Record{Kind: EpochClose, Seq: r.Tag * uint64(ms), Flags: Lost}
	case w[0] == "return":
		r = scriptRecord(WireReturn, number(w, 2))
	case w[0] == "consume":
		r.Kind, r.Node = Consume, s.Ledger.queue(w[2])
	case w[0] == "deliver" || w[0] == "deliverto" || w[0] == "redeliver" || w[0] == "strange":
		s.delivered[r.Epoch]++
		r = scriptRecord(WireDeliver, number(w, 3))
		r.Tag = pack(s.delivered[uint32(e)], uint16(number(w, 2)))
		if w[0] == "redeliver" {
			r.Flags = Redelivered
		}
		if w[len(w)-1] == "dead" {
			r.Flags |= Dead
		}
		if w[0] == "deliverto" {
			r.Node = route("", w[4])
		}
		if w[0] == "strange" {
			r.Node++
		}
	default:
		return false
	}
	r.Epoch = uint32(e)
	s.Ledger.note(r)
	return true
}

func (s *scripted) rest(w []string) bool {
	switch w[0] {
	case "conn":
		s.Ledger.note(Record{Kind: ConnOpen})
	case "wait":
		s.now += 5 * time.Second
	case "fault":
		s.faults[w[1]] = s.Ledger.Fault(w[1])
	case "effect":
		s.faults[w[1]].Effect()
	case "end":
		s.faults[w[1]].End()
	case "lose":
		s.windows[w[1]] = s.Ledger.MayLose(w[1])
	case "keep":
		s.windows[w[1]]()
	case "call":
		s.Ledger.Called(w[1], time.Duration(number(w, 2))*ms, time.Duration(number(w, 3))*ms, nil)
	default:
		return false
	}
	return true
}
