package publisher

import (
	"container/list"
	"fmt"
)

// window bounds the messages that have no outcome yet, and the bytes of their
// bodies. Who has to wait is let in first come, first served, so that a large
// message is not passed by small ones for ever. It is pure: the publisher's
// lock guards it.
type window struct {
	maxMessages, maxBytes int
	messages, bytes       int // inside
	waiting               list.List
}

// String says what who waits waits for.
func (w *window) String() string {
	return fmt.Sprintf("room in the window: %d of %d messages and %d of %d bytes have no outcome yet", w.messages, w.maxMessages, w.bytes, w.maxBytes)
}

// entrant is a message that waits to be let in.
type entrant struct {
	bytes    int
	admitted bool          // once done
	done     chan struct{} // closed when it was let in, or turned away
	place    *list.Element
}

// enter lets a message in. If there is no room it returns what to wait for.
func (w *window) enter(bytes int) *entrant {
	if w.waiting.Len() == 0 && w.fits(bytes) {
		w.occupy(bytes)
		return nil
	}
	e := &entrant{bytes: bytes, done: make(chan struct{})}
	e.place = w.waiting.PushBack(e)
	return e
}

// fits reports whether there is room. A message larger than the window is let
// in alone.
func (w *window) fits(bytes int) bool {
	return w.messages == 0 || w.messages < w.maxMessages && w.bytes+bytes <= w.maxBytes
}

func (w *window) occupy(bytes int) {
	w.messages++
	w.bytes += bytes
}

// leave gives a message's room back, to those who wait.
func (w *window) leave(bytes int) {
	w.messages--
	w.bytes -= bytes
	w.admit()
}

func (w *window) admit() {
	for front := w.waiting.Front(); front != nil; front = w.waiting.Front() {
		e := front.Value.(*entrant)
		if !w.fits(e.bytes) {
			return
		}
		w.waiting.Remove(front)
		w.occupy(e.bytes)
		e.admitted = true
		close(e.done)
	}
}

// withdraw ends the waiting of e, and gives its room back if it was let in.
func (w *window) withdraw(e *entrant) {
	if e.admitted {
		w.leave(e.bytes)
		return
	}
	w.waiting.Remove(e.place)
	w.admit()
}

// turnAway ends the waiting of all who wait.
func (w *window) turnAway() {
	for front := w.waiting.Front(); front != nil; front = w.waiting.Front() {
		w.waiting.Remove(front)
		close(front.Value.(*entrant).done)
	}
}
