package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Classes of methods.
const (
	ClassConnection uint16 = 10
	ClassChannel    uint16 = 20
	ClassAccess     uint16 = 30
	ClassExchange   uint16 = 40
	ClassQueue      uint16 = 50
	ClassBasic      uint16 = 60
	ClassConfirm    uint16 = 85
	ClassTx         uint16 = 90
)

// MethodID names a method on the wire: its class in the upper 16 bits, its number within the class in the lower.
type MethodID uint32

// Class returns the id of the method's class.
func (id MethodID) Class() uint16 { return uint16(id >> 16) }

// Method returns the method's id within its class.
func (id MethodID) Method() uint16 { return uint16(id) }

// String returns the name that the specification uses, such as "queue.declare", or, for an unknown method,
// its numbers, as in "method 50.99".
func (id MethodID) String() string {
	if s, ok := methods[id]; ok {
		return s.name
	}
	return fmt.Sprintf("method %d.%d", id.Class(), id.Method())
}

// Method is one AMQP method with its arguments: a pointer to one of the structs of this package.
type Method interface {
	// ID names the method.
	ID() MethodID
	// fields walks the arguments in wire order.
	fields(w walker)
}

// NewMethod returns an empty method to fill, nil if this package does not know id.
func NewMethod(id MethodID) Method {
	if s, ok := methods[id]; ok {
		return s.new()
	}
	return nil
}

// Replies returns the methods that answer a synchronous request, any one of them, and nil for a method
// that has no answer. A request that was sent with its no-wait bit set has none either.
func Replies(id MethodID) []MethodID { return slices.Clone(methods[id].replies) }

// HasContent reports whether a content header and body follow the method.
func HasContent(id MethodID) bool {
	switch id {
	case MethodBasicPublish, MethodBasicReturn, MethodBasicDeliver, MethodBasicGetOk:
		return true
	}
	return false
}

// PeekMethod returns which method the payload of a method frame holds, false if it is too short to say.
func PeekMethod(payload []byte) (MethodID, bool) {
	if len(payload) < 4 {
		return 0, false
	}
	return MethodID(binary.BigEndian.Uint32(payload)), true
}

// AppendMethod appends a method frame. On an error, a [*FieldError], dst is returned as it was.
func AppendMethod(dst []byte, channel uint16, m Method) ([]byte, error) {
	start := len(dst)
	w := &fieldWriter{b: appendFrameStart(dst, FrameMethod, channel, 0)}
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(m.ID()))
	m.fields(w)
	if w.err != nil {
		return dst, w.err
	}
	return endFrame(w.b, start), nil
}
