package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/errs"
)

func TestErrorTexts(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&wire.Error{Code: 501, Where: "frame", Reason: "ends early"}, "wire: frame error (501) in frame: ends early"},
		{&wire.Error{Code: 502, Where: "x", Reason: "y"}, "wire: syntax error (502) in x: y"},
		{&wire.Error{Code: 503, Where: "x", Reason: "y"}, "wire: command invalid (503) in x: y"},
		{&wire.Error{Code: 505, Where: "x", Reason: "y"}, "wire: unexpected frame (505) in x: y"},
		{&wire.Error{Code: 540, Where: "x", Reason: "y"}, "wire: not implemented (540) in x: y"},
		{&wire.FieldError{Path: "headers.a", Reason: "too long"}, "wire: headers.a: too long"},
		{&wire.FieldError{Reason: "too long"}, "wire: too long"},
		{&wire.ProtocolHeaderError{ID: 0, Major: 1, Minor: 0, Revision: 0},
			"wire: protocol header instead of a frame: the peer offers AMQP 1.0.0 (protocol id 0), not 0.9.1"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestErrorsAreFoundWhenWrapped(t *testing.T) {
	_, err := new(wire.Decoder).Method(nil)
	if e, ok := errs.AsType[*wire.Error](fmt.Errorf("reading: %w", err)); !ok || e.Code != 501 {
		t.Errorf("error %v", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const password = "hunter2"
	secret := wire.Secret(password)
	methods := []wire.Method{
		&wire.ConnectionStartOk{Mechanism: "PLAIN", Response: secret},
		&wire.ConnectionSecureOk{Response: secret},
		&wire.ConnectionUpdateSecret{NewSecret: secret, Reason: "renewal"},
	}
	traces := []string{password, fmt.Sprintf("%x", password), fmt.Sprintf("%X", password), fmt.Sprint([]byte(password)), "aHVudGVyMg"}
	check := func(how, text string) {
		t.Helper()
		for _, s := range traces {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %s", how, text)
			}
		}
		if !strings.Contains(text, "[redacted]") {
			t.Errorf("%s says nothing in its place: %s", how, text)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%5.2v"} {
		check(verb, fmt.Sprintf(verb, secret))
		for _, m := range methods {
			check(fmt.Sprintf("%s of %s", verb, m.ID()), fmt.Sprintf(verb, m))
		}
	}
	for _, m := range methods {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		check("JSON of "+m.ID().String(), string(text))
	}
}

func TestSecretIsWhatItWasOnTheWire(t *testing.T) {
	response := []byte("\x00guest\x00guest")
	frame, err := wire.AppendMethod(nil, 0, &wire.ConnectionStartOk{Mechanism: "PLAIN", Response: response, Locale: "en_US"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := new(wire.Decoder).Method(frame[7:])
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*wire.ConnectionStartOk).Response; string(got) != string(response) {
		t.Errorf("%d octets came back changed", len(got))
	}
}
