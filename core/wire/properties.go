package wire

import (
	"math/bits"
	"time"
)

// Properties are the standard properties of a message. A field with its zero value is absent from the
// message; so is an empty string, and a zero priority, unless they came with a message that had them so: what
// was received is written as it was.
type Properties struct {
	ContentType     string
	ContentEncoding string
	Headers         Table // nil: absent; empty but not nil: present and empty
	DeliveryMode    uint8 // 1: transient, 2: persistent
	Priority        uint8
	CorrelationID   string
	ReplyTo         string
	Expiration      string // RabbitMQ: milliseconds, as decimal digits
	MessageID       string
	Timestamp       time.Time // whole seconds, also before 1970
	Type            string
	UserID          string // RabbitMQ: must be the name of the connection's user
	AppID           string
	ClusterID       string // reserved in 0-9-1, carried by RabbitMQ

	given Property // received with their zero values
}

// Property names one of the [Properties] in their encoded form.
type Property uint16

// The properties; each value is its bit in the property flags.
const (
	PropertyContentType Property = 1 << (15 - iota)
	PropertyContentEncoding
	PropertyHeaders
	PropertyDeliveryMode
	PropertyPriority
	PropertyCorrelationID
	PropertyReplyTo
	PropertyExpiration
	PropertyMessageID
	PropertyTimestamp
	PropertyType
	PropertyUserID
	PropertyAppID
	PropertyClusterID
)

// flagMore is the bit of a flags word that says that another word follows.
const flagMore = 1

// Validate returns the [*FieldError] that encoding p would return.
func (p *Properties) Validate() error {
	w := propertyWriter{}
	w.properties(p)
	if w.err != nil {
		return w.err
	}
	return nil
}

// highest returns the first property in wire order of those in flags, which are not 0.
func highest(flags Property) Property { return 1 << (bits.Len16(uint16(flags)) - 1) }
