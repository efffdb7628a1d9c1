package wire

// Methods of class queue.
const (
	MethodQueueDeclare   MethodID = 50<<16 | 10
	MethodQueueDeclareOk MethodID = 50<<16 | 11
	MethodQueueBind      MethodID = 50<<16 | 20
	MethodQueueBindOk    MethodID = 50<<16 | 21
	MethodQueuePurge     MethodID = 50<<16 | 30
	MethodQueuePurgeOk   MethodID = 50<<16 | 31
	MethodQueueDelete    MethodID = 50<<16 | 40
	MethodQueueDeleteOk  MethodID = 50<<16 | 41
	MethodQueueUnbind    MethodID = 50<<16 | 50
	MethodQueueUnbindOk  MethodID = 50<<16 | 51
)

// QueueDeclare creates a queue or checks that it is as described. Answered by [QueueDeclareOk].
type QueueDeclare struct {
	Queue      string // empty: the server chooses a name
	Passive    bool
	Durable    bool
	Exclusive  bool
	AutoDelete bool
	NoWait     bool
	Arguments  Table
}

// ID returns [MethodQueueDeclare].
func (*QueueDeclare) ID() MethodID { return MethodQueueDeclare }

func (m *QueueDeclare) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.bit("passive", &m.Passive)
	w.bit("durable", &m.Durable)
	w.bit("exclusive", &m.Exclusive)
	w.bit("auto-delete", &m.AutoDelete)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// QueueDeclareOk confirms a declaration.
type QueueDeclareOk struct {
	Queue         string
	MessageCount  uint32 // messages ready for delivery
	ConsumerCount uint32
}

// ID returns [MethodQueueDeclareOk].
func (*QueueDeclareOk) ID() MethodID { return MethodQueueDeclareOk }

func (m *QueueDeclareOk) fields(w walker) {
	w.shortstr("queue", &m.Queue)
	w.long("message-count", &m.MessageCount)
	w.long("consumer-count", &m.ConsumerCount)
}

// QueueBind binds a queue to an exchange. Answered by [QueueBindOk].
type QueueBind struct {
	Queue      string
	Exchange   string
	RoutingKey string
	NoWait     bool
	Arguments  Table
}

// ID returns [MethodQueueBind].
func (*QueueBind) ID() MethodID { return MethodQueueBind }

func (m *QueueBind) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// QueueBindOk confirms a binding.
type QueueBindOk struct{}

// ID returns [MethodQueueBindOk].
func (*QueueBindOk) ID() MethodID { return MethodQueueBindOk }

func (*QueueBindOk) fields(walker) {}

// QueuePurge drops the messages that wait in a queue. Answered by [QueuePurgeOk].
type QueuePurge struct {
	Queue  string
	NoWait bool
}

// ID returns [MethodQueuePurge].
func (*QueuePurge) ID() MethodID { return MethodQueuePurge }

func (m *QueuePurge) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.bit("no-wait", &m.NoWait)
}

// QueuePurgeOk says how many messages were dropped.
type QueuePurgeOk struct {
	MessageCount uint32
}

// ID returns [MethodQueuePurgeOk].
func (*QueuePurgeOk) ID() MethodID { return MethodQueuePurgeOk }

func (m *QueuePurgeOk) fields(w walker) { w.long("message-count", &m.MessageCount) }

// QueueDelete deletes a queue. Answered by [QueueDeleteOk].
type QueueDelete struct {
	Queue    string
	IfUnused bool
	IfEmpty  bool
	NoWait   bool
}

// ID returns [MethodQueueDelete].
func (*QueueDelete) ID() MethodID { return MethodQueueDelete }

func (m *QueueDelete) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.bit("if-unused", &m.IfUnused)
	w.bit("if-empty", &m.IfEmpty)
	w.bit("no-wait", &m.NoWait)
}

// QueueDeleteOk says how many messages went with the queue.
type QueueDeleteOk struct {
	MessageCount uint32
}

// ID returns [MethodQueueDeleteOk].
func (*QueueDeleteOk) ID() MethodID { return MethodQueueDeleteOk }

func (m *QueueDeleteOk) fields(w walker) { w.long("message-count", &m.MessageCount) }

// QueueUnbind removes a binding of a queue. It has no no-wait bit. Answered by [QueueUnbindOk].
type QueueUnbind struct {
	Queue      string
	Exchange   string
	RoutingKey string
	Arguments  Table
}

// ID returns [MethodQueueUnbind].
func (*QueueUnbind) ID() MethodID { return MethodQueueUnbind }

func (m *QueueUnbind) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
	w.table("arguments", &m.Arguments)
}

// QueueUnbindOk confirms the removal of a binding.
type QueueUnbindOk struct{}

// ID returns [MethodQueueUnbindOk].
func (*QueueUnbindOk) ID() MethodID { return MethodQueueUnbindOk }

func (*QueueUnbindOk) fields(walker) {}
