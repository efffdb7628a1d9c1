package ledger

import (
	"slices"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// steady is for how long a broker must go on talking after a silence, before it has surely read what came meanwhile.
const steady = time.Second

// liveliness tells when a broker was last surely at work. One that was frozen first lets its timers speak when it
// thaws: it sends a heartbeat, and may give up a connection without having read what waits there.
type liveliness struct {
	spoke  int64 // last frame
	woke   int64 // first frame after a silence
	steady int64 // last frame that proves that it reads
}

func (l *liveliness) frame(now int64) {
	if now-l.spoke > int64(steady) {
		l.woke = now
	}
	l.spoke = now
	if now-l.woke >= int64(steady) {
		l.steady = now
	}
}

// request is what the broker has to answer, and when it passed.
type request struct {
	replies []wire.MethodID
	at      int64
}

// requests are those of a channel without an answer yet, and those that want none.
type requests struct {
	asked []request
	read  int64 // when the last passed that was answered
}

func (r *requests) ask(id wire.MethodID, now int64) {
	if replies := wire.Replies(id); len(replies) > 0 {
		r.asked = append(r.asked, request{replies, now})
	}
}

// answer takes a method for the answer to the oldest request that it may answer. The broker takes what comes on a
// channel in order: it has read all that came before that.
func (r *requests) answer(id wire.MethodID) {
	if i := slices.IndexFunc(r.asked, func(q request) bool { return slices.Contains(q.replies, id) }); i >= 0 {
		r.read = r.asked[i].at
		r.asked = slices.Delete(r.asked, 0, i+1)
	}
}

// room tells what the broker has read of a consumer's settlements by what it delivers: for the n-th delivery there was
// room only once it had read n settlements less the prefetch.
type room struct {
	delivered, settled int
	mark               int   // the settlement that is watched, 0: none
	at                 int64 // when that passed
}

func (r *room) settle(now int64) {
	if r.settled++; r.mark == 0 {
		r.mark, r.at = r.settled, now
	}
}

// deliver returns up to when the broker has read what came, 0 if it does not show.
func (r *room) deliver(prefetch int) (read int64) {
	r.delivered++
	if prefetch == 0 || r.mark == 0 || r.delivered-prefetch < r.mark {
		return 0
	}
	r.mark = 0
	return r.at
}
