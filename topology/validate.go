package topology

import (
	"errors"
	"fmt"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// Validate reports everything in t that a broker would refuse for its form
// alone, all at once, so that it is known before anything is sent: names and
// keys over 255 bytes, reserved names, arguments that cannot be encoded.
func (t Topology) Validate() error {
	var errs []error
	for _, e := range t.Exchanges {
		errs = append(errs, named(e, e.validate()))
	}
	for _, q := range t.Queues {
		errs = append(errs, named(q, q.validate()))
	}
	for _, b := range t.Bindings {
		errs = append(errs, named(b, b.validate()))
	}
	return errors.Join(errs...)
}

func named(entity fmt.Stringer, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", entity, err)
}

func (e Exchange) validate() error {
	switch {
	case e.Name == "":
		return errors.New("an exchange needs a name; the default exchange always exists")
	case reserved(e.Name):
		return errors.New(`names beginning with "amq." are reserved`)
	}
	return encodable(e.Declare())
}

func (q Queue) validate() error {
	switch {
	case reserved(q.Name):
		return errors.New(`names beginning with "amq." are reserved; leave the name empty to have the broker choose one`)
	case (q.Type == Quorum || q.Type == Stream) && (q.Transient || q.Exclusive || q.AutoDelete):
		return fmt.Errorf("a %s queue is durable, shared and kept: transient, exclusive and auto-delete do not apply", q.Type)
	case (q.Type == Quorum || q.Type == Stream) && q.Name == "":
		return fmt.Errorf("a %s queue needs a name", q.Type)
	}
	return encodable(q.Declare())
}

func (b Binding) validate() error {
	switch {
	case b.Source == "":
		return errors.New("the default exchange cannot be bound: it routes to every queue by name")
	case b.ToExchange && b.Destination == "":
		return errors.New("the default exchange cannot be a destination")
	}
	return encodable(b.Bind())
}

func reserved(name string) bool { return strings.HasPrefix(name, "amq.") }

func encodable(m wire.Method) error {
	_, err := wire.AppendMethod(nil, 0, m)
	return err
}
