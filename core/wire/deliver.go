package wire

import "encoding/binary"

// AppendDeliver appends the method frame of a basic.deliver, without allocating beyond dst. On an error, a
// [*FieldError], dst is returned as it was.
func AppendDeliver(dst []byte, channel uint16, m *BasicDeliver) ([]byte, error) {
	if len(m.ConsumerTag) > maxShortstr {
		return dst, tooLong("consumer tag")
	}
	if len(m.Exchange) > maxShortstr {
		return dst, tooLong("exchange")
	}
	if len(m.RoutingKey) > maxShortstr {
		return dst, tooLong("routing key")
	}
	size := 4 + 1 + len(m.ConsumerTag) + 8 + 1 + 1 + len(m.Exchange) + 1 + len(m.RoutingKey)
	dst = append(dst, FrameMethod, byte(channel>>8), byte(channel), 0, 0, byte(size>>8), byte(size),
		0, byte(ClassBasic), 0, byte(MethodBasicDeliver&0xff), byte(len(m.ConsumerTag)))
	dst = append(dst, m.ConsumerTag...)
	dst = binary.BigEndian.AppendUint64(dst, m.DeliveryTag)
	dst = append(dst, flag(m.Redelivered, 0), byte(len(m.Exchange)))
	dst = append(dst, m.Exchange...)
	dst = append(dst, byte(len(m.RoutingKey)))
	dst = append(dst, m.RoutingKey...)
	return append(dst, FrameEnd), nil
}

// Deliver decodes the payload of a basic.deliver frame as [Decoder.Method] would, but into m and without
// allocating for names that came before; fastest are those that m already holds. On an error m is unchanged.
func (d *Decoder) Deliver(payload []byte, m *BasicDeliver) error {
	if err := expect(payload, MethodBasicDeliver); err != nil {
		return err
	}
	consumer, b, ok := cutShortstr(payload[4:])
	fixed, b, ok1 := cut(b, 9)
	exchange, b, ok2 := cutShortstr(b)
	key, rest, ok3 := cutShortstr(b)
	if !ok || !ok1 || !ok2 || !ok3 {
		return errCutOff(MethodBasicDeliver)
	}
	d.trailing(rest)
	*m = BasicDeliver{
		ConsumerTag: d.names.again(m.ConsumerTag, consumer),
		DeliveryTag: binary.BigEndian.Uint64(fixed),
		Redelivered: fixed[8]&1 != 0,
		Exchange:    d.names.again(m.Exchange, exchange),
		RoutingKey:  d.names.again(m.RoutingKey, key),
	}
	return nil
}
