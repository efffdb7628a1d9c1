package wire

// Methods of class connection.
const (
	MethodConnectionStart          MethodID = 10<<16 | 10
	MethodConnectionStartOk        MethodID = 10<<16 | 11
	MethodConnectionSecure         MethodID = 10<<16 | 20
	MethodConnectionSecureOk       MethodID = 10<<16 | 21
	MethodConnectionTune           MethodID = 10<<16 | 30
	MethodConnectionTuneOk         MethodID = 10<<16 | 31
	MethodConnectionOpen           MethodID = 10<<16 | 40
	MethodConnectionOpenOk         MethodID = 10<<16 | 41
	MethodConnectionClose          MethodID = 10<<16 | 50
	MethodConnectionCloseOk        MethodID = 10<<16 | 51
	MethodConnectionBlocked        MethodID = 10<<16 | 60
	MethodConnectionUnblocked      MethodID = 10<<16 | 61
	MethodConnectionUpdateSecret   MethodID = 10<<16 | 70
	MethodConnectionUpdateSecretOk MethodID = 10<<16 | 71
)

// ConnectionStart opens the negotiation: what the server is and offers. Answered by [ConnectionStartOk].
type ConnectionStart struct {
	VersionMajor     uint8
	VersionMinor     uint8
	ServerProperties Table
	Mechanisms       string // SASL mechanisms, separated by spaces
	Locales          string // separated by spaces
}

// ID returns [MethodConnectionStart].
func (*ConnectionStart) ID() MethodID { return MethodConnectionStart }

func (m *ConnectionStart) fields(w walker) {
	w.octet("version-major", &m.VersionMajor)
	w.octet("version-minor", &m.VersionMinor)
	w.table("server-properties", &m.ServerProperties)
	w.longstr("mechanisms", &m.Mechanisms)
	w.longstr("locales", &m.Locales)
}

// ConnectionStartOk chooses a mechanism and gives its first response.
type ConnectionStartOk struct {
	ClientProperties Table
	Mechanism        string
	Response         Secret
	Locale           string
}

// ID returns [MethodConnectionStartOk].
func (*ConnectionStartOk) ID() MethodID { return MethodConnectionStartOk }

func (m *ConnectionStartOk) fields(w walker) {
	w.table("client-properties", &m.ClientProperties)
	w.shortstr("mechanism", &m.Mechanism)
	w.opaque("response", (*[]byte)(&m.Response))
	w.shortstr("locale", &m.Locale)
}

// ConnectionSecure is a further round of the SASL mechanism. Answered by [ConnectionSecureOk].
type ConnectionSecure struct {
	Challenge []byte
}

// ID returns [MethodConnectionSecure].
func (*ConnectionSecure) ID() MethodID { return MethodConnectionSecure }

func (m *ConnectionSecure) fields(w walker) { w.opaque("challenge", &m.Challenge) }

// ConnectionSecureOk answers a challenge.
type ConnectionSecureOk struct {
	Response Secret
}

// ID returns [MethodConnectionSecureOk].
func (*ConnectionSecureOk) ID() MethodID { return MethodConnectionSecureOk }

func (m *ConnectionSecureOk) fields(w walker) { w.opaque("response", (*[]byte)(&m.Response)) }

// ConnectionTune proposes limits. Answered by [ConnectionTuneOk].
type ConnectionTune struct {
	ChannelMax uint16 // 0: no limit
	FrameMax   uint32 // octets, frame overhead included; 0: no limit
	Heartbeat  uint16 // seconds; 0: none
}

// ID returns [MethodConnectionTune].
func (*ConnectionTune) ID() MethodID { return MethodConnectionTune }

func (m *ConnectionTune) fields(w walker) {
	w.short("channel-max", &m.ChannelMax)
	w.long("frame-max", &m.FrameMax)
	w.short("heartbeat", &m.Heartbeat)
}

// ConnectionTuneOk states the limits of the connection.
type ConnectionTuneOk struct {
	ChannelMax uint16
	FrameMax   uint32
	Heartbeat  uint16
}

// ID returns [MethodConnectionTuneOk].
func (*ConnectionTuneOk) ID() MethodID { return MethodConnectionTuneOk }

func (m *ConnectionTuneOk) fields(w walker) {
	w.short("channel-max", &m.ChannelMax)
	w.long("frame-max", &m.FrameMax)
	w.short("heartbeat", &m.Heartbeat)
}

// ConnectionOpen opens a virtual host. Answered by [ConnectionOpenOk].
type ConnectionOpen struct {
	VirtualHost string
}

// ID returns [MethodConnectionOpen].
func (*ConnectionOpen) ID() MethodID { return MethodConnectionOpen }

func (m *ConnectionOpen) fields(w walker) {
	w.shortstr("virtual-host", &m.VirtualHost)
	w.reserved(typeShortstr)
	w.reserved(typeBit)
}

// ConnectionOpenOk says that the connection is ready for use.
type ConnectionOpenOk struct{}

// ID returns [MethodConnectionOpenOk].
func (*ConnectionOpenOk) ID() MethodID { return MethodConnectionOpenOk }

func (*ConnectionOpenOk) fields(w walker) { w.reserved(typeShortstr) }

// ConnectionClose ends the connection, with the method that caused it if one did. Answered by [ConnectionCloseOk].
type ConnectionClose struct {
	ReplyCode uint16
	ReplyText string
	ClassID   uint16
	MethodID  uint16
}

// ID returns [MethodConnectionClose].
func (*ConnectionClose) ID() MethodID { return MethodConnectionClose }

func (m *ConnectionClose) fields(w walker) {
	w.short("reply-code", &m.ReplyCode)
	w.shortstr("reply-text", &m.ReplyText)
	w.short("class-id", &m.ClassID)
	w.short("method-id", &m.MethodID)
}

// ConnectionCloseOk is the last method of a connection.
type ConnectionCloseOk struct{}

// ID returns [MethodConnectionCloseOk].
func (*ConnectionCloseOk) ID() MethodID { return MethodConnectionCloseOk }

func (*ConnectionCloseOk) fields(walker) {}

// ConnectionBlocked says that the server accepts no more publishes for now (RabbitMQ).
type ConnectionBlocked struct {
	Reason string
}

// ID returns [MethodConnectionBlocked].
func (*ConnectionBlocked) ID() MethodID { return MethodConnectionBlocked }

func (m *ConnectionBlocked) fields(w walker) { w.shortstr("reason", &m.Reason) }

// ConnectionUnblocked says that the server accepts publishes again (RabbitMQ).
type ConnectionUnblocked struct{}

// ID returns [MethodConnectionUnblocked].
func (*ConnectionUnblocked) ID() MethodID { return MethodConnectionUnblocked }

func (*ConnectionUnblocked) fields(walker) {}

// ConnectionUpdateSecret replaces the credentials of a live connection (RabbitMQ). Answered by [ConnectionUpdateSecretOk].
type ConnectionUpdateSecret struct {
	NewSecret Secret
	Reason    string
}

// ID returns [MethodConnectionUpdateSecret].
func (*ConnectionUpdateSecret) ID() MethodID { return MethodConnectionUpdateSecret }

func (m *ConnectionUpdateSecret) fields(w walker) {
	w.opaque("new-secret", (*[]byte)(&m.NewSecret))
	w.shortstr("reason", &m.Reason)
}

// ConnectionUpdateSecretOk accepts new credentials (RabbitMQ).
type ConnectionUpdateSecretOk struct{}

// ID returns [MethodConnectionUpdateSecretOk].
func (*ConnectionUpdateSecretOk) ID() MethodID { return MethodConnectionUpdateSecretOk }

func (*ConnectionUpdateSecretOk) fields(walker) {}
