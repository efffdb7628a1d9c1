package wire

// Methods of class basic.
const (
	MethodBasicQos          MethodID = 60<<16 | 10
	MethodBasicQosOk        MethodID = 60<<16 | 11
	MethodBasicConsume      MethodID = 60<<16 | 20
	MethodBasicConsumeOk    MethodID = 60<<16 | 21
	MethodBasicCancel       MethodID = 60<<16 | 30
	MethodBasicCancelOk     MethodID = 60<<16 | 31
	MethodBasicPublish      MethodID = 60<<16 | 40
	MethodBasicReturn       MethodID = 60<<16 | 50
	MethodBasicDeliver      MethodID = 60<<16 | 60
	MethodBasicGet          MethodID = 60<<16 | 70
	MethodBasicGetOk        MethodID = 60<<16 | 71
	MethodBasicGetEmpty     MethodID = 60<<16 | 72
	MethodBasicAck          MethodID = 60<<16 | 80
	MethodBasicReject       MethodID = 60<<16 | 90
	MethodBasicRecoverAsync MethodID = 60<<16 | 100
	MethodBasicRecover      MethodID = 60<<16 | 110
	MethodBasicRecoverOk    MethodID = 60<<16 | 111
	MethodBasicNack         MethodID = 60<<16 | 120
)

// BasicQos sets the prefetch limit. Answered by [BasicQosOk].
type BasicQos struct {
	PrefetchSize  uint32 // octets; RabbitMQ accepts only 0
	PrefetchCount uint16 // 0: no limit
	Global        bool   // RabbitMQ: per channel, not per consumer
}

// ID returns [MethodBasicQos].
func (*BasicQos) ID() MethodID { return MethodBasicQos }

func (m *BasicQos) fields(w walker) {
	w.long("prefetch-size", &m.PrefetchSize)
	w.short("prefetch-count", &m.PrefetchCount)
	w.bit("global", &m.Global)
}

// BasicQosOk confirms a prefetch limit.
type BasicQosOk struct{}

// ID returns [MethodBasicQosOk].
func (*BasicQosOk) ID() MethodID { return MethodBasicQosOk }

func (*BasicQosOk) fields(walker) {}

// BasicConsume starts a consumer. Answered by [BasicConsumeOk].
type BasicConsume struct {
	Queue       string
	ConsumerTag string // empty: the server chooses one
	NoLocal     bool
	NoAck       bool // deliveries count as acknowledged when sent
	Exclusive   bool
	NoWait      bool
	Arguments   Table
}

// ID returns [MethodBasicConsume].
func (*BasicConsume) ID() MethodID { return MethodBasicConsume }

func (m *BasicConsume) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.shortstr("consumer-tag", &m.ConsumerTag)
	w.bit("no-local", &m.NoLocal)
	w.bit("no-ack", &m.NoAck)
	w.bit("exclusive", &m.Exclusive)
	w.bit("no-wait", &m.NoWait)
	w.table("arguments", &m.Arguments)
}

// BasicConsumeOk confirms a consumer.
type BasicConsumeOk struct {
	ConsumerTag string
}

// ID returns [MethodBasicConsumeOk].
func (*BasicConsumeOk) ID() MethodID { return MethodBasicConsumeOk }

func (m *BasicConsumeOk) fields(w walker) { w.shortstr("consumer-tag", &m.ConsumerTag) }

// BasicCancel ends a consumer. RabbitMQ sends it too, when the queue goes away. Answered by [BasicCancelOk].
type BasicCancel struct {
	ConsumerTag string
	NoWait      bool
}

// ID returns [MethodBasicCancel].
func (*BasicCancel) ID() MethodID { return MethodBasicCancel }

func (m *BasicCancel) fields(w walker) {
	w.shortstr("consumer-tag", &m.ConsumerTag)
	w.bit("no-wait", &m.NoWait)
}

// BasicCancelOk confirms the end of a consumer.
type BasicCancelOk struct {
	ConsumerTag string
}

// ID returns [MethodBasicCancelOk].
func (*BasicCancelOk) ID() MethodID { return MethodBasicCancelOk }

func (m *BasicCancelOk) fields(w walker) { w.shortstr("consumer-tag", &m.ConsumerTag) }

// BasicPublish sends a message to an exchange; content follows.
type BasicPublish struct {
	Exchange   string
	RoutingKey string
	Mandatory  bool // return it if no queue takes it
	Immediate  bool // RabbitMQ refuses it
}

// ID returns [MethodBasicPublish].
func (*BasicPublish) ID() MethodID { return MethodBasicPublish }

func (m *BasicPublish) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
	w.bit("mandatory", &m.Mandatory)
	w.bit("immediate", &m.Immediate)
}

// BasicReturn brings back a message that could not be routed; content follows.
type BasicReturn struct {
	ReplyCode  uint16
	ReplyText  string
	Exchange   string
	RoutingKey string
}

// ID returns [MethodBasicReturn].
func (*BasicReturn) ID() MethodID { return MethodBasicReturn }

func (m *BasicReturn) fields(w walker) {
	w.short("reply-code", &m.ReplyCode)
	w.shortstr("reply-text", &m.ReplyText)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
}

// BasicDeliver brings a message to a consumer; content follows.
type BasicDeliver struct {
	ConsumerTag string
	DeliveryTag uint64
	Redelivered bool
	Exchange    string
	RoutingKey  string
}

// ID returns [MethodBasicDeliver].
func (*BasicDeliver) ID() MethodID { return MethodBasicDeliver }

func (m *BasicDeliver) fields(w walker) {
	w.shortstr("consumer-tag", &m.ConsumerTag)
	w.longlong("delivery-tag", &m.DeliveryTag)
	w.bit("redelivered", &m.Redelivered)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
}

// BasicGet asks for one message. Answered by [BasicGetOk] or [BasicGetEmpty].
type BasicGet struct {
	Queue string
	NoAck bool
}

// ID returns [MethodBasicGet].
func (*BasicGet) ID() MethodID { return MethodBasicGet }

func (m *BasicGet) fields(w walker) {
	w.reserved(typeShort)
	w.shortstr("queue", &m.Queue)
	w.bit("no-ack", &m.NoAck)
}

// BasicGetOk brings the message asked for; content follows.
type BasicGetOk struct {
	DeliveryTag  uint64
	Redelivered  bool
	Exchange     string
	RoutingKey   string
	MessageCount uint32 // messages left in the queue
}

// ID returns [MethodBasicGetOk].
func (*BasicGetOk) ID() MethodID { return MethodBasicGetOk }

func (m *BasicGetOk) fields(w walker) {
	w.longlong("delivery-tag", &m.DeliveryTag)
	w.bit("redelivered", &m.Redelivered)
	w.shortstr("exchange", &m.Exchange)
	w.shortstr("routing-key", &m.RoutingKey)
	w.long("message-count", &m.MessageCount)
}

// BasicGetEmpty says that the queue has no message.
type BasicGetEmpty struct{}

// ID returns [MethodBasicGetEmpty].
func (*BasicGetEmpty) ID() MethodID { return MethodBasicGetEmpty }

func (*BasicGetEmpty) fields(w walker) { w.reserved(typeShortstr) }

// BasicAck settles deliveries, and, from the server, confirms publishes.
type BasicAck struct {
	DeliveryTag uint64
	Multiple    bool // all up to and including the tag; with tag 0, all
}

// ID returns [MethodBasicAck].
func (*BasicAck) ID() MethodID { return MethodBasicAck }

func (m *BasicAck) fields(w walker) {
	w.longlong("delivery-tag", &m.DeliveryTag)
	w.bit("multiple", &m.Multiple)
}

// BasicReject refuses one delivery.
type BasicReject struct {
	DeliveryTag uint64
	Requeue     bool
}

// ID returns [MethodBasicReject].
func (*BasicReject) ID() MethodID { return MethodBasicReject }

func (m *BasicReject) fields(w walker) {
	w.longlong("delivery-tag", &m.DeliveryTag)
	w.bit("requeue", &m.Requeue)
}

// BasicRecoverAsync has unsettled deliveries sent again, without an answer; deprecated.
type BasicRecoverAsync struct {
	Requeue bool
}

// ID returns [MethodBasicRecoverAsync].
func (*BasicRecoverAsync) ID() MethodID { return MethodBasicRecoverAsync }

func (m *BasicRecoverAsync) fields(w walker) { w.bit("requeue", &m.Requeue) }

// BasicRecover has unsettled deliveries sent again. Answered by [BasicRecoverOk].
type BasicRecover struct {
	Requeue bool // RabbitMQ refuses false
}

// ID returns [MethodBasicRecover].
func (*BasicRecover) ID() MethodID { return MethodBasicRecover }

func (m *BasicRecover) fields(w walker) { w.bit("requeue", &m.Requeue) }

// BasicRecoverOk confirms a recover.
type BasicRecoverOk struct{}

// ID returns [MethodBasicRecoverOk].
func (*BasicRecoverOk) ID() MethodID { return MethodBasicRecoverOk }

func (*BasicRecoverOk) fields(walker) {}

// BasicNack refuses deliveries, and, from the server, publishes (RabbitMQ).
type BasicNack struct {
	DeliveryTag uint64
	Multiple    bool // all up to and including the tag; with tag 0, all
	Requeue     bool
}

// ID returns [MethodBasicNack].
func (*BasicNack) ID() MethodID { return MethodBasicNack }

func (m *BasicNack) fields(w walker) {
	w.longlong("delivery-tag", &m.DeliveryTag)
	w.bit("multiple", &m.Multiple)
	w.bit("requeue", &m.Requeue)
}
