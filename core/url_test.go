package core

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/errs"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url, addr, vhost, user, password string
	}{
		{"amqp://localhost", "localhost:5672", "/", "", ""},
		{"amqp://", "localhost:5672", "/", "", ""},
		{"amqp:///v", "localhost:5672", "v", "", ""},
		{"amqps://broker", "broker:5671", "/", "", ""},
		{"amqp://u:p@h:1/v", "h:1", "v", "u", "p"},
		{"amqp://u:p%2F%40%3A%25@h/%2f", "h:5672", "/", "u", "p/@:%"},
		{"amqp://h/", "h:5672", "", "", ""},
		{"amqp://h/a%2fb", "h:5672", "a/b", "", ""},
		{"amqp://[::1]:99/v", "[::1]:99", "v", "", ""},
		{"amqp://[fe80::1%25en0]/v", "[fe80::1%en0]:5672", "v", "", ""},
	} {
		c, err := ParseURL(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if c.Addr != tt.addr || c.VHost != tt.vhost {
			t.Errorf("%s: address %q, vhost %q", tt.url, c.Addr, c.VHost)
		}
		if (c.TLS != nil) != strings.HasPrefix(tt.url, "amqps") {
			t.Errorf("%s: TLS %t", tt.url, c.TLS != nil)
		}
		if tt.user == "" {
			continue
		}
		if got, err := c.Credentials(context.Background(), false); err != nil || got.Username != tt.user || string(got.Password) != tt.password {
			t.Errorf("%s: user %q, %v", tt.url, got.Username, err)
		}
	}
}

func TestParseURLQuery(t *testing.T) {
	c, err := ParseURL("amqp://h?heartbeat=7&connection_timeout=1500&channel_max=9&frame_max=9000&connection_name=a%20b")
	if err != nil {
		t.Fatal(err)
	}
	if c.Heartbeat != 7*time.Second || c.HandshakeTimeout != 1500*time.Millisecond || c.ChannelMax != 9 || c.FrameMax != 9000 || c.Name != "a b" {
		t.Errorf("got %+v", c)
	}
	if c, _ := ParseURL("amqp://h?heartbeat=0"); c.Heartbeat >= 0 {
		t.Error("heartbeat=0 must turn heartbeats off")
	}
}

func TestParseURLMechanismsAndTLS(t *testing.T) {
	c, err := ParseURL("amqps://h?auth_mechanism=external&auth_mechanism=PLAIN&cacertfile=%2fnowhere%2fca.pem&server_name_indication=s&verify=verify_peer")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Mechanisms) != 2 || c.Mechanisms[0].Name() != "EXTERNAL" || c.Mechanisms[1].Name() != "PLAIN" {
		t.Errorf("mechanisms %v", c.Mechanisms)
	}
	if _, err := c.TLS(context.Background()); err == nil || !strings.Contains(err.Error(), "/nowhere/ca.pem") {
		t.Errorf("%v", err)
	}
	plain, err := ParseURL("amqps://h")
	if err != nil {
		t.Fatal(err)
	}
	if secure, err := plain.TLS(context.Background()); err != nil || secure.MinVersion != tls.VersionTLS12 || secure.InsecureSkipVerify {
		t.Errorf("%+v, %v", secure, err)
	}
}

// FuzzParseURL: no input panics, and no error shows the password.
func FuzzParseURL(f *testing.F) {
	f.Add("amqp://u:", "@h:5672/v?heartbeat=1")
	f.Add("amqps://u:", "@[::1]/%2f?certfile=c&keyfile=k")
	f.Add("amqp://u:12/", "@h")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "S3cr3t"
		if strings.Contains(strings.ToLower(before+after), "s3cr3t") {
			return
		}
		c, err := ParseURL(before + secret + after)
		if !strings.HasPrefix(before, "amqp://u:") || !strings.HasPrefix(after, "@") || strings.ContainsAny(before[9:], "/?#@[]\\") {
			return // the secret is no password there
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows the password", err)
		}
		if err == nil {
			_, _ = c.withDefaults()
		}
	})
}

// Errors are typed, name what is wrong, and never show the password.
func TestParseURLErrors(t *testing.T) {
	const secret = "S3cr3t"
	for raw, want := range map[string]string{
		"localhost:5672":                                       "scheme",
		"http://u:" + secret + "@h":                            `scheme "http"`,
		"amqp:h":                                               `"//"`,
		"amqp:/localhost":                                      `"//"`,
		"amqp://u:" + secret + "@h:port":                       "port",
		"amqp://u:" + secret + "/x@h":                          "port",
		"amqp://u:" + secret + "%zz@h":                         "percent-encoded",
		"amqp://u:" + secret + "@h/a/b":                        "one segment",
		"amqp://u:" + secret + "@h?heartbeat=x":                "heartbeat",
		"amqp://u:" + secret + "@h?heartbeet=1":                "unknown",
		"amqp://u:" + secret + "#1@h":                          "port",
		"amqp://u:12/" + secret + "@h":                         "percent-encoded",
		"amqp://u:12?" + secret + "@h":                         "percent-encoded",
		"amqp://u:12#" + secret + "@h":                         "percent-encoded",
		"amqp://u:12?x=" + secret + "@h":                       "percent-encoded",
		"amqp://u:" + secret + "@h?%zz=1":                      "query",
		"amqp://u:" + secret + "@h#x":                          "%23",
		"amqp://u:" + secret + "@h v/x":                        "percent-encoded",
		"amqp://u:" + secret + "@h/v?heartbeat=65536":          "heartbeat",
		"amqp://u:" + secret + "@h/v?heartbeat=-1":             "heartbeat",
		"amqp://u:" + secret + "@h/v?heartbeat=1&heartbeat=2":  "2 times",
		"amqp://u:" + secret + "@h/v?channel_max=70000":        "channel_max",
		"amqp://u:" + secret + "@h/v?frame_max=x":              "frame_max",
		"amqp://u:" + secret + "@h/v?connection_timeout=1s":    "connection_timeout",
		"amqp://u:" + secret + "@h/v?auth_mechanism=kerberos":  "auth_mechanism",
		"amqps://u:" + secret + "@h/v?verify=verify_none":      "verify",
		"amqps://u:" + secret + "@h/v?certfile=c.pem":          "keyfile",
		"amqp://u:" + secret + "@h/v?cacertfile=ca.pem":        "amqps",
		"amqp://u:" + secret + "@h/v?server_name_indication=h": "amqps",
		"://": "scheme",
	} {
		_, err := ParseURL(raw)
		if _, ok := errs.AsType[*ValidationError](err); !ok {
			t.Errorf("%s: %v is not a ValidationError", raw, err)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not name %q", raw, err, want)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows the password", err)
		}
	}
}
