package wire

import "encoding/binary"

// AppendPublish appends the method frame of a basic.publish, without allocating beyond dst. On an error, a
// [*FieldError], dst is returned as it was.
func AppendPublish(dst []byte, channel uint16, exchange, key string, mandatory, immediate bool) ([]byte, error) {
	if len(exchange) > maxShortstr {
		return dst, tooLong("exchange")
	}
	if len(key) > maxShortstr {
		return dst, tooLong("routing key")
	}
	size := 4 + 2 + 1 + len(exchange) + 1 + len(key) + 1
	dst = append(dst, FrameMethod, byte(channel>>8), byte(channel), 0, 0, byte(size>>8), byte(size),
		0, byte(ClassBasic), 0, byte(MethodBasicPublish&0xff),
		0, 0, byte(len(exchange)))
	dst = append(dst, exchange...)
	dst = append(dst, byte(len(key)))
	dst = append(dst, key...)
	return append(dst, flag(mandatory, 0)|flag(immediate, 1), FrameEnd), nil
}

// Publish decodes the payload of a basic.publish frame as [Decoder.Method] would, but into m and without
// allocating for names that came before. On an error m is unchanged.
func (d *Decoder) Publish(payload []byte, m *BasicPublish) error {
	if err := expect(payload, MethodBasicPublish); err != nil {
		return err
	}
	_, b, ok := cut(payload[4:], 2) // the ticket
	exchange, b, ok1 := cutShortstr(b)
	key, b, ok2 := cutShortstr(b)
	if !ok || !ok1 || !ok2 || len(b) < 1 {
		return errCutOff(MethodBasicPublish)
	}
	*m = BasicPublish{
		Exchange:   d.names.get(exchange),
		RoutingKey: d.names.get(key),
		Mandatory:  b[0]&1 != 0,
		Immediate:  b[0]&2 != 0,
	}
	return nil
}

// flag is bit n of an octet.
func flag(set bool, n uint) byte {
	if set {
		return 1 << n
	}
	return 0
}

// expect returns an error unless payload holds the method id.
func expect(payload []byte, id MethodID) error {
	if len(payload) < 4 {
		return errNoMethodID(payload)
	}
	if got := MethodID(binary.BigEndian.Uint32(payload)); got != id {
		return fault(codeCommandInvalid, got.String(), "%s was expected", id)
	}
	return nil
}

func errCutOff(id MethodID) error {
	return fault(codeSyntaxError, id.String(), "arguments are cut off")
}
