package wire

import "encoding/binary"

// AppendAck appends the method frame of a basic.ack, without allocating beyond dst.
func AppendAck(dst []byte, channel uint16, tag uint64, multiple bool) []byte {
	return appendSettle(dst, channel, MethodBasicAck, tag, flag(multiple, 0))
}

// AppendNack appends the method frame of a basic.nack, without allocating beyond dst.
func AppendNack(dst []byte, channel uint16, tag uint64, multiple, requeue bool) []byte {
	return appendSettle(dst, channel, MethodBasicNack, tag, flag(multiple, 0)|flag(requeue, 1))
}

// AppendReject appends the method frame of a basic.reject, without allocating beyond dst.
func AppendReject(dst []byte, channel uint16, tag uint64, requeue bool) []byte {
	return appendSettle(dst, channel, MethodBasicReject, tag, flag(requeue, 0))
}

// appendSettle appends a method whose arguments are a delivery tag and bits.
func appendSettle(dst []byte, channel uint16, id MethodID, tag uint64, bits byte) []byte {
	return append(dst, FrameMethod, byte(channel>>8), byte(channel), 0, 0, 0, 4+8+1,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id),
		byte(tag>>56), byte(tag>>48), byte(tag>>40), byte(tag>>32), byte(tag>>24), byte(tag>>16), byte(tag>>8), byte(tag),
		bits, FrameEnd)
}

// Ack decodes the payload of a basic.ack frame as [Decoder.Method] would, but into m and without allocating.
// On an error m is unchanged.
func (d *Decoder) Ack(payload []byte, m *BasicAck) error {
	if err := expect(payload, MethodBasicAck); err != nil {
		return err
	}
	b, rest, ok := cut(payload[4:], 9)
	if !ok {
		return errCutOff(MethodBasicAck)
	}
	d.trailing(rest)
	*m = BasicAck{DeliveryTag: binary.BigEndian.Uint64(b), Multiple: b[8]&1 != 0}
	return nil
}
