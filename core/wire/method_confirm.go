package wire

// Methods of class confirm.
const (
	MethodConfirmSelect   MethodID = 85<<16 | 10
	MethodConfirmSelectOk MethodID = 85<<16 | 11
)

// ConfirmSelect turns publisher confirms on for the channel (RabbitMQ). Answered by [ConfirmSelectOk].
type ConfirmSelect struct {
	NoWait bool
}

// ID returns [MethodConfirmSelect].
func (*ConfirmSelect) ID() MethodID { return MethodConfirmSelect }

func (m *ConfirmSelect) fields(w walker) { w.bit("nowait", &m.NoWait) }

// ConfirmSelectOk says that confirms are on (RabbitMQ).
type ConfirmSelectOk struct{}

// ID returns [MethodConfirmSelectOk].
func (*ConfirmSelectOk) ID() MethodID { return MethodConfirmSelectOk }

func (*ConfirmSelectOk) fields(walker) {}
