package wire

// Methods of class access.
const (
	MethodAccessRequest   MethodID = 30<<16 | 10
	MethodAccessRequestOk MethodID = 30<<16 | 11
)

// AccessRequest asks for an access ticket, a leftover of AMQP 0.8 that RabbitMQ still answers. Answered by [AccessRequestOk].
type AccessRequest struct {
	Realm     string
	Exclusive bool
	Passive   bool
	Active    bool
	Write     bool
	Read      bool
}

// ID returns [MethodAccessRequest].
func (*AccessRequest) ID() MethodID { return MethodAccessRequest }

func (m *AccessRequest) fields(w walker) {
	w.shortstr("realm", &m.Realm)
	w.bit("exclusive", &m.Exclusive)
	w.bit("passive", &m.Passive)
	w.bit("active", &m.Active)
	w.bit("write", &m.Write)
	w.bit("read", &m.Read)
}

// AccessRequestOk grants an access ticket, of no use.
type AccessRequestOk struct {
	Ticket uint16
}

// ID returns [MethodAccessRequestOk].
func (*AccessRequestOk) ID() MethodID { return MethodAccessRequestOk }

func (m *AccessRequestOk) fields(w walker) { w.short("ticket", &m.Ticket) }
