package core

import (
	"crypto/tls"
	"strings"
	"testing"
)

func TestMechanisms(t *testing.T) {
	c := Credentials{Username: "tim", Password: "tanstaaftanstaaf"}
	for _, tt := range []struct {
		m         Mechanism
		name      string
		responses []string // by round
	}{
		{Plain(), "PLAIN", []string{"\x00tim\x00tanstaaftanstaaf"}},
		{AMQPlain(), "AMQPLAIN", []string{"\x05LOGINS\x00\x00\x00\x03tim\x08PASSWORDS\x00\x00\x00\x10tanstaaftanstaaf"}},
		{External(), "EXTERNAL", []string{""}},
		{Anonymous(), "ANONYMOUS", []string{"tim"}},
		{CRAMMD5(), "CRAM-MD5", []string{"", "tim b913a602c7eda7a495b4e6e7334d3890"}}, // the example of RFC 2195
	} {
		if tt.m.Name() != tt.name {
			t.Errorf("name %s", tt.m.Name())
		}
		for round, want := range tt.responses {
			got, err := tt.m.Respond(round, []byte("<1896.697170952@postoffice.reston.mci.net>"), c)
			if err != nil || string(got) != want {
				t.Errorf("%s, round %d: %q, %v", tt.name, round, got, err)
			}
		}
		if _, err := tt.m.Respond(1, []byte("?"), c); (err == nil) != (len(tt.responses) > 1) {
			t.Errorf("%s: challenge: %v", tt.name, err)
		}
	}
}

// EXTERNAL with a certificate, then PLAIN, then AMQPLAIN; ANONYMOUS only when asked for.
func TestMechanismIsNegotiated(t *testing.T) {
	cert := &tls.Config{Certificates: make([]tls.Certificate, 1)}
	for _, tt := range []struct {
		name    string
		cfg     Config
		tls     *tls.Config
		offered string
		want    string
	}{
		{"default", Config{}, nil, "ANONYMOUS AMQPLAIN PLAIN", "PLAIN"},
		{"what is left", Config{}, nil, "ANONYMOUS AMQPLAIN", "AMQPLAIN"},
		{"never anonymous by itself", Config{}, nil, "ANONYMOUS", ""},
		{"anonymous when asked for", Config{Mechanisms: []Mechanism{Anonymous()}}, nil, "ANONYMOUS", "ANONYMOUS"},
		{"with a certificate", Config{}, cert, "PLAIN EXTERNAL", "EXTERNAL"},
		{"with a certificate that is not wanted", Config{}, cert, "PLAIN", "PLAIN"},
		{"tls without a certificate", Config{}, &tls.Config{}, "PLAIN EXTERNAL", "PLAIN"},
		{"external without tls", Config{Mechanisms: []Mechanism{External(), Plain()}}, nil, "PLAIN EXTERNAL", "PLAIN"},
		{"the client's order", Config{Mechanisms: []Mechanism{AMQPlain(), Plain()}}, nil, "PLAIN AMQPLAIN", "AMQPLAIN"},
		{"none in common", Config{}, nil, "GSSAPI", ""},
		{"none at all", Config{}, nil, "", ""},
		{"part of a name", Config{}, nil, "PLAINER", ""},
	} {
		h := &handshake{cfg: tt.cfg, tls: tt.tls}
		m, err := choose(h.mechanisms(), tt.offered)
		if tt.want == "" {
			mustIs(t, err, ErrNoMechanism)
			continue
		}
		if err != nil || m.Name() != tt.want {
			t.Errorf("%s: %v, %v", tt.name, m, err)
		}
	}
	_, err := choose(nil, "EVIL\n\x1b[2J")
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("raw control characters in %q", err)
	}
}
