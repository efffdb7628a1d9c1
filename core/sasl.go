package core

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// Mechanism is a SASL mechanism. It keeps no state: a value may serve any
// number of connections at once.
type Mechanism interface {
	// Name is the mechanism's name as the server offers it.
	Name() string
	// Respond answers the server's challenge. Round 0 is the initial
	// response, for which there is none; a connection has at most 8 rounds.
	Respond(round int, challenge []byte, c Credentials) ([]byte, error)
}

// mechanism is a Mechanism made of a name and a function.
type mechanism struct {
	name    string
	respond func(round int, challenge []byte, c Credentials) ([]byte, error)
}

func (m mechanism) Name() string { return m.name }

func (m mechanism) Respond(round int, challenge []byte, c Credentials) ([]byte, error) {
	return m.respond(round, challenge, c)
}

var errNoChallenge = errors.New("the server sent a challenge that this mechanism does not have")

// single is a mechanism with an initial response and no challenge.
func single(name string, response func(Credentials) ([]byte, error)) Mechanism {
	return mechanism{name, func(round int, _ []byte, c Credentials) ([]byte, error) {
		if round > 0 {
			return nil, errNoChallenge
		}
		return response(c)
	}}
}

// Plain is PLAIN (RFC 4616): user name and password as they are. Use TLS.
func Plain() Mechanism {
	return single("PLAIN", func(c Credentials) ([]byte, error) {
		return []byte("\x00" + c.Username + "\x00" + string(c.Password)), nil
	})
}

// AMQPlain is AMQPLAIN, PLAIN's older form with a field table (specification, chapter 4.6).
func AMQPlain() Mechanism {
	return single("AMQPLAIN", func(c Credentials) ([]byte, error) {
		t, err := wire.AppendTable(nil, wire.Table{"LOGIN": c.Username, "PASSWORD": string(c.Password)})
		if err != nil {
			return nil, err
		}
		return t[4:], nil // without the length: RabbitMQ expects the bare fields
	})
}

// External is EXTERNAL: the server takes the identity from the TLS client certificate.
func External() Mechanism {
	return single("EXTERNAL", func(Credentials) ([]byte, error) { return []byte{}, nil })
}

// Anonymous is ANONYMOUS (RFC 4505). It is never used unless asked for.
func Anonymous() Mechanism {
	return single("ANONYMOUS", func(c Credentials) ([]byte, error) { return []byte(c.Username), nil })
}

// CRAMMD5 is CRAM-MD5 (RFC 2195), which RabbitMQ itself does not offer.
func CRAMMD5() Mechanism {
	return mechanism{"CRAM-MD5", func(round int, challenge []byte, c Credentials) ([]byte, error) {
		if round == 0 {
			return []byte{}, nil
		}
		mac := hmac.New(md5.New, []byte(c.Password))
		mac.Write(challenge)
		return []byte(c.Username + " " + hex.EncodeToString(mac.Sum(nil))), nil
	}}
}

// defaultMechanisms prefers a client certificate over a password.
func defaultMechanisms(t *tls.Config) []Mechanism {
	m := []Mechanism{Plain(), AMQPlain()}
	if t != nil && (len(t.Certificates) > 0 || t.GetClientCertificate != nil) {
		m = slices.Insert(m, 0, External())
	}
	return m
}

// choose returns the first of ours that the server offers.
func choose(ours []Mechanism, offered string) (Mechanism, error) {
	theirs := strings.Fields(offered)
	for _, m := range ours {
		if slices.Contains(theirs, m.Name()) {
			return m, nil
		}
	}
	var names []string
	for _, m := range ours {
		names = append(names, m.Name())
	}
	return nil, &mechanismError{ours: names, theirs: theirs}
}

// mechanismError names both lists.
type mechanismError struct{ ours, theirs []string }

func (e *mechanismError) Error() string {
	return printable("amqp: no common sasl mechanism: the server offers " + strings.Join(e.theirs, ", ") +
		"; this client would use " + strings.Join(e.ours, ", "))
}

func (e *mechanismError) Is(target error) bool { return target == ErrNoMechanism }
