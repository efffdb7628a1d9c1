package ledger

import (
	"slices"
	"sort"
)

// queueNumbers returns the numbers of the queues of those names.
func (v *view) queueNumbers(names []string) []int {
	var numbers []int
	for _, name := range names {
		if i := slices.Index(v.history.Queues, name); i >= 0 {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// seen reports whether a handler of any queue saw the message.
func (v *view) seen(slot int) bool {
	for i := slot; i < len(v.handled); i += len(v.messages) {
		if v.handled[i] > 0 {
			return true
		}
	}
	return false
}

// timesBrought returns how often a queue delivered the message, -1 for all of them.
func (v *view) timesBrought(slot, queue int) (n int) {
	for q := range v.queues {
		if queue < 0 || queue == q {
			n += int(v.brought[q*len(v.messages)+slot])
		}
	}
	return n
}

// mayBeLostAnywhere is mayBeLost for a message that any queue may deliver.
func (v *view) mayBeLostAnywhere(m *message) bool {
	return slices.ContainsFunc(v.windows, func(w lossWindow) bool { return v.excuses(w, m) })
}

// sawNoAck reports whether any consumer needed no acks.
func (v *view) sawNoAck() bool {
	return slices.ContainsFunc(v.epochs, func(e epoch) bool {
		return slices.ContainsFunc(e.consumers, func(c consumerView) bool { return c.noAck })
	})
}

// publisherOf returns the publisher of a message; of a further attempt too.
func (v *view) publisherOf(slot int) int {
	if slot >= v.index.len() {
		for key, s := range v.attempts {
			if s == slot {
				return int(key.pub)
			}
		}
	}
	return sort.Search(len(v.base)-1, func(p int) bool { return v.base[p+1] > slot })
}

// name returns the identity of a message as [ID.String] writes it.
func (v *view) name(slot int) string {
	for key, s := range v.attempts {
		if s == slot {
			return ID{Publisher: key.pub, Seq: low(key.seq), Attempt: high(key.seq)}.String()
		}
	}
	p := v.publisherOf(slot)
	return ID{Publisher: uint32(p), Seq: uint64(slot-v.base[p]) + 1, Attempt: 1}.String()
}
