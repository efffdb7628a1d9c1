package brokertest

import (
	"time"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// Action is what a hook has the broker do, see [Broker.OnReceive] and [Broker.OnSend]. The zero value is
// [Pass].
type Action struct {
	delay   time.Duration
	hang    bool
	cut     bool
	end     bool
	swallow bool
	replies []wire.Method
	refusal *state.Refusal
	verdict verdict
	late    time.Duration // of the confirm
}

// verdict is what a publish is told, other than the usual.
type verdict int

const (
	usual verdict = iota
	none          // never
	nack          // the message is not stored
	late          // after some time
)

// Pass has things take their course.
var Pass = Action{}

// Swallow drops the method, and its content, as if it had not been sent.
var Swallow = Action{swallow: true}

// Cut resets the connection in place of the method. What was sent before arrives, if the client takes it within 10 s.
var Cut = Action{cut: true}

// End ends the connection in place of the method without a word, as a broker does that is killed: the client reads
// what was sent before, and then that nothing more comes.
var End = Action{end: true}

// Hang stops the connection in this direction for good, in place of the method: nothing more is read, or
// nothing more is written.
var Hang = Action{hang: true}

// Delay holds the method, and all behind it in this direction of the connection, for some time.
func Delay(d time.Duration) Action { return Action{delay: d} }

// Reply swallows the method and sends the client these in its place, on the same channel. Content is empty.
func Reply(ms ...wire.Method) Action { return Action{swallow: true, replies: ms} }

// Refuse swallows a received method and closes its channel with the code and text, or the connection if
// that is what AMQP says of the code.
func Refuse(code uint16, text string) Action {
	return Action{swallow: true, refusal: &state.Refusal{Code: code, Text: text}}
}

// Unconfirmed takes a received publish as usual and never confirms it.
var Unconfirmed = Action{verdict: none}

// Nack refuses a received publish, in confirm mode, by basic.nack.
var Nack = Action{verdict: nack}

// ConfirmAfter takes a received publish as usual and confirms it only after some time; others are not held
// up.
func ConfirmAfter(d time.Duration) Action { return Action{verdict: late, late: d} }
