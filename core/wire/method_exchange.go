package wire

// Methods of class exchange.
const (
	MethodExchangeDeclare   MethodID = 40<<16 | 10
	MethodExchangeDeclareOk MethodID = 40<<16 | 11
	MethodExchangeDelete    MethodID = 40<<16 | 20
	MethodExchangeDeleteOk  MethodID = 40<<16 | 21
	MethodExchangeBind      MethodID = 40<<16 | 30
	MethodExchangeBindOk    MethodID = 40<<16 | 31
	MethodExchangeUnbind    MethodID = 40<<16 | 40
	MethodExchangeUnbindOk  MethodID = 40<<16 | 51
)

// ExchangeDeclare creates an exchange or checks that it is as described. Answered by [ExchangeDeclareOk].
type ExchangeDeclare struct {
	Exchange   string
	Type       string
	Passive    bool
	Durable    bool
	AutoDelete bool
	Internal   bool
	NoWait     bool
	Arguments  Table
}

// ID returns [MethodExchangeDeclare].
func (*ExchangeDeclare) ID() MethodID { return MethodExchangeDeclare }

func (m *ExchangeDeclare) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("type", &m.Type)
	w.bit("passive", &m.Passive)
	w.bit("durable", &m.Durable)
	w.bit("auto-delete", &m.AutoDelete)
	w.bit("internal", &m.Internal)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// ExchangeDeclareOk confirms a declaration.
type ExchangeDeclareOk struct{}

// ID returns [MethodExchangeDeclareOk].
func (*ExchangeDeclareOk) ID() MethodID { return MethodExchangeDeclareOk }

func (*ExchangeDeclareOk) fields(walker) {}

// ExchangeDelete deletes an exchange. Answered by [ExchangeDeleteOk].
type ExchangeDelete struct {
	Exchange string
	IfUnused bool
	NoWait   bool
}

// ID returns [MethodExchangeDelete].
func (*ExchangeDelete) ID() MethodID { return MethodExchangeDelete }

func (m *ExchangeDelete) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("exchange", &m.Exchange)
	w.bit("if-unused", &m.IfUnused)
	w.bit("no-wait", &m.NoWait)
}

// ExchangeDeleteOk confirms a deletion.
type ExchangeDeleteOk struct{}

// ID returns [MethodExchangeDeleteOk].
func (*ExchangeDeleteOk) ID() MethodID { return MethodExchangeDeleteOk }

func (*ExchangeDeleteOk) fields(walker) {}

// ExchangeBind binds an exchange to another (RabbitMQ). Answered by [ExchangeBindOk].
type ExchangeBind struct {
	Destination string
	Source      string
	RoutingKey  string
	NoWait      bool
	Arguments   Table
}

// ID returns [MethodExchangeBind].
func (*ExchangeBind) ID() MethodID { return MethodExchangeBind }

func (m *ExchangeBind) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("destination", &m.Destination)
	w.shortstr("source", &m.Source)
	w.shortstr("routing-key", &m.RoutingKey)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// ExchangeBindOk confirms a binding (RabbitMQ).
type ExchangeBindOk struct{}

// ID returns [MethodExchangeBindOk].
func (*ExchangeBindOk) ID() MethodID { return MethodExchangeBindOk }

func (*ExchangeBindOk) fields(walker) {}

// ExchangeUnbind removes a binding between exchanges (RabbitMQ). Answered by [ExchangeUnbindOk].
type ExchangeUnbind struct {
	Destination string
	Source      string
	RoutingKey  string
	NoWait      bool
	Arguments   Table
}

// ID returns [MethodExchangeUnbind].
func (*ExchangeUnbind) ID() MethodID { return MethodExchangeUnbind }

func (m *ExchangeUnbind) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("destination", &m.Destination)
	w.shortstr("source", &m.Source)
	w.shortstr("routing-key", &m.RoutingKey)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// ExchangeUnbindOk confirms the removal of a binding (RabbitMQ).
type ExchangeUnbindOk struct{}

// ID returns [MethodExchangeUnbindOk].
func (*ExchangeUnbindOk) ID() MethodID { return MethodExchangeUnbindOk }

func (*ExchangeUnbindOk) fields(walker) {}
