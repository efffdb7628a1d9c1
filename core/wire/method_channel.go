package wire

// Methods of class channel.
const (
	MethodChannelOpen    MethodID = 20<<16 | 10
	MethodChannelOpenOk  MethodID = 20<<16 | 11
	MethodChannelFlow    MethodID = 20<<16 | 20
	MethodChannelFlowOk  MethodID = 20<<16 | 21
	MethodChannelClose   MethodID = 20<<16 | 40
	MethodChannelCloseOk MethodID = 20<<16 | 41
)

// ChannelOpen opens a channel. Answered by [ChannelOpenOk].
type ChannelOpen struct{}

// ID returns [MethodChannelOpen].
func (*ChannelOpen) ID() MethodID { return MethodChannelOpen }

func (*ChannelOpen) fields(w walker) { w.reserved(typeShortstr) }

// ChannelOpenOk says that the channel is ready for use.
type ChannelOpenOk struct{}

// ID returns [MethodChannelOpenOk].
func (*ChannelOpenOk) ID() MethodID { return MethodChannelOpenOk }

func (*ChannelOpenOk) fields(w walker) { w.reserved(typeLongstr) }

// ChannelFlow asks the peer to pause or resume sending content. Answered by [ChannelFlowOk].
type ChannelFlow struct {
	Active bool
}

// ID returns [MethodChannelFlow].
func (*ChannelFlow) ID() MethodID { return MethodChannelFlow }

func (m *ChannelFlow) fields(w walker) { w.bit("active", &m.Active) }

// ChannelFlowOk confirms the state asked for.
type ChannelFlowOk struct {
	Active bool
}

// ID returns [MethodChannelFlowOk].
func (*ChannelFlowOk) ID() MethodID { return MethodChannelFlowOk }

func (m *ChannelFlowOk) fields(w walker) { w.bit("active", &m.Active) }

// ChannelClose ends the channel, with the method that caused it if one did. Answered by [ChannelCloseOk].
type ChannelClose struct {
	ReplyCode uint16
	ReplyText string
	ClassID   uint16
	MethodID  uint16
}

// ID returns [MethodChannelClose].
func (*ChannelClose) ID() MethodID { return MethodChannelClose }

func (m *ChannelClose) fields(w walker) {
	w.short("reply-code", &m.ReplyCode)
	w.shortstr("reply-text", &m.ReplyText)
	w.short("class-id", &m.ClassID)
	w.short("method-id", &m.MethodID)
}

// ChannelCloseOk is the last method of a channel.
type ChannelCloseOk struct{}

// ID returns [MethodChannelCloseOk].
func (*ChannelCloseOk) ID() MethodID { return MethodChannelCloseOk }

func (*ChannelCloseOk) fields(walker) {}
