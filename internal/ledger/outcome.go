package ledger

// Outcome is how a publish ended, as the API said. The names are those of package core.
type Outcome uint8

// The outcomes. The zero value means that nothing was said yet.
const (
	Pending   Outcome = iota
	Confirmed         // acknowledged by the broker and not returned
	Returned          // no queue took it
	Nacked            // refused by the broker
	NotSent           // no byte of it reached the socket
	Unknown           // sent, and no verdict came
	outcomes
)

var outcomeNames = [outcomes]string{"pending", "confirmed", "returned", "nacked", "not sent", "unknown"}

// String returns the outcome in words.
func (o Outcome) String() string {
	if o < outcomes {
		return outcomeNames[o]
	}
	return "invalid"
}
