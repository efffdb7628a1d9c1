package core

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

const password = "S3cr3t-Δ/@:%"

// shown returns the form in which text shows the password, "" if it does not.
func shown(text string) string {
	for _, form := range []string{
		password, url.QueryEscape(password), url.PathEscape(password), url.UserPassword("u", password).String()[2:], "S3cr3t",
		base64.StdEncoding.EncodeToString([]byte(password)), base64.StdEncoding.EncodeToString([]byte("\x00u\x00" + password)),
		hex.EncodeToString([]byte(password)), strings.Trim(fmt.Sprint([]byte(password)), "[]"), strings.Trim(fmt.Sprintf("%#v", []byte(password)), "[]byte{}"),
	} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

func mustHide(t *testing.T, what string, v any) {
	t.Helper()
	texts := []string{fmt.Sprint(v)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if b, err := json.Marshal(v); err == nil {
		texts = append(texts, string(b))
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
	for _, text := range append(texts, log.String()) {
		if form := shown(text); form != "" {
			t.Errorf("%s shows the password as %q: %s", what, form, text)
		}
	}
}

// No value that holds the password shows it, however it is printed.
func TestValuesHideThePassword(t *testing.T) {
	cfg, err := ParseURL("amqp://u:" + url.QueryEscape(password) + "@h/v")
	noErr(t, err)
	c, err := cfg.Credentials(bg, false)
	noErr(t, err)
	if c.Password != password {
		t.Fatal("another password")
	}
	if shown(fmt.Sprint(password)) == "" {
		t.Fatal("the test sees nothing")
	}
	filled, _ := cfg.withDefaults()
	start := &wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00u\x00" + password)}
	for what, v := range map[string]any{
		"config": cfg, "config with defaults": filled, "credentials": c, "pointer": &c, "secret": c.Password, "start-ok": start,
		"secure-ok": &wire.ConnectionSecureOk{Response: wire.Secret(password)}, "update-secret": &wire.ConnectionUpdateSecret{NewSecret: wire.Secret(password)},
	} {
		mustHide(t, what, v)
	}
}

// No error of a dial that fails shows it, whatever fails and whenever.
func TestErrorsHideThePassword(t *testing.T) {

	for _, m := range []Mechanism{Plain(), AMQPlain(), CRAMMD5()} {
		for name, spoil := range map[string]func(p *peer){
			"hangs up":   func(p *peer) { _ = p.nc.Close() },
			"resets":     func(p *peer) { p.nc.Reset() },
			"is silent":  func(*peer) {},
			"challenges": func(p *peer) { p.send(0, &wire.ConnectionSecure{Challenge: []byte("?")}) },
			"refuses":    func(p *peer) { p.send(0, &wire.ConnectionClose{ReplyCode: 403, ReplyText: "ACCESS_REFUSED"}) },
			"breaks":     func(p *peer) { p.raw([]byte("garbage and more garbage")) },
		} {
			t.Run(m.Name()+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p, nc := newPeer(t)
					cfg := Config{Credentials: Login("u", password), Mechanisms: []Mechanism{m}}
					dial := async(func() (*Conn, error) { return Open(bg, nc, cfg) })
					p.header()
					s := start()
					s.Mechanisms = m.Name()
					p.send(0, s)
					want[*wire.ConnectionStartOk](p, 0)
					spoil(p)
					if name == "challenges" {
						if _, err := p.readFrame(1); err == nil {
							_ = p.nc.Close()
						}
					}
					mustHide(t, "error", dial.fail(t))
				})
			})
		}
	}
}

// Nor does one of an open connection.
func TestUpdateSecretHidesThePassword(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		mustHide(t, "error", c.UpdateSecret(bg, Secret(strings.Repeat(password, 20_000)), "r"))
		mustHide(t, "error", c.UpdateSecret(bg, password, strings.Repeat("r", 256)))
		done := async0(func() error { return c.UpdateSecret(bg, password, "r") })
		want[*wire.ConnectionUpdateSecret](p, 0)
		p.send(0, &wire.ConnectionClose{ReplyCode: 530, ReplyText: "NOT_ALLOWED"})
		mustHide(t, "error", done.fail(t))
		mustHide(t, "connection's error", c.Err())
	})
}
