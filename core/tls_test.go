package core

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/memnet"
	"github.com/warren-mq/warren/internal/pki"
)

// overTLS dials a listener whose connections speak TLS with that certificate.
func overTLS(t *testing.T, cfg Config, cert tls.Certificate, serve func(*tls.Conn)) (*Conn, error) {
	t.Helper()
	var network memnet.Network
	l, err := network.Listen("rabbit.example:5671")
	noErr(t, err)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		serve(tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS13}))
	}()
	t.Cleanup(func() { _ = l.Close() })
	cfg.Addr, cfg.DialContext = "rabbit.example:5671", network.DialContext
	return Dial(t.Context(), cfg)
}

func TestTLSVerifiesTheDialledHost(t *testing.T) {
	for _, tt := range []struct {
		name, host, serverName string
		good                   bool
	}{
		{"the host", "rabbit.example", "", true},
		{"another host", "other.example", "", false},
		{"a server name of the caller's", "other.example", "other.example", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				authority := pki.NewAuthority(t, "a")
				cert := authority.Issue(t, "s", tt.host).TLS(t)
				sni := ""
				shared := &tls.Config{RootCAs: authority.Pool(), ServerName: tt.serverName}
				_, err := overTLS(t, Config{TLS: FixedTLS(shared), HandshakeTimeout: 3 * time.Second}, cert, func(s *tls.Conn) {
					_ = s.Handshake()
					sni = s.ConnectionState().ServerName
					_ = s.Close()
				})
				e := mustAs[*DialError](t, err)
				if (e.Step == "start") != tt.good {
					t.Errorf("%v", err)
				}
				if want := shared.ServerName; tt.good && sni != "rabbit.example" && sni != want {
					t.Errorf("server name %q", sni)
				}
				if shared.ServerName != tt.serverName || shared.MinVersion != 0 {
					t.Error("the caller's configuration was changed")
				}
			})
		})
	}
}

func TestTLSVersionsBelow12AreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		authority := pki.NewAuthority(t, "a")
		cert := authority.Issue(t, "s", "rabbit.example").TLS(t)
		_, err := overTLS(t, Config{TLS: FixedTLS(&tls.Config{RootCAs: authority.Pool()})}, cert, func(s *tls.Conn) {
			old := tls.Server(s.NetConn(), &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
			_ = old.Handshake()
			_ = s.NetConn().Close()
		})
		if e := mustAs[*DialError](t, err); e.Step != "tls" {
			t.Errorf("%v", err)
		}
	})
}

func TestTLSHandshakeHasATimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		_, err := overTLS(t, Config{TLS: TLSFiles{}.Load, TLSTimeout: 2 * time.Second}, tls.Certificate{}, func(s *tls.Conn) {
			b := make([]byte, 4096)
			for {
				if _, err := s.NetConn().Read(b); err != nil {
					return
				}
			}
		})
		mustIs(t, err, ErrTimeout)
		if e := mustAs[*DialError](t, err); e.Step != "tls" || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func TestTLSAgainstPlainText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, err := overTLS(t, Config{TLS: TLSFiles{}.Load}, tls.Certificate{}, func(s *tls.Conn) {
			_, _ = s.NetConn().Read(make([]byte, 4096))
			_, _ = s.NetConn().Write([]byte("AMQP\x00\x00\x09\x01"))
			_ = s.NetConn().Close()
		})
		if e := mustAs[*DialError](t, err); e.Step != "tls" || !strings.Contains(e.Hint, "5671") {
			t.Errorf("%v", err)
		}
	})
}

// A peer that stops reading under TLS does not hold Close up.
func TestTLSCloseDoesNotWaitForThePeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		authority := pki.NewAuthority(t, "a")
		cert := authority.Issue(t, "s", "rabbit.example").TLS(t)
		var raw *memnet.Conn
		c, err := overTLS(t, Config{TLS: FixedTLS(&tls.Config{RootCAs: authority.Pool()}), CloseTimeout: time.Second, Heartbeat: -1}, cert, func(s *tls.Conn) {
			raw = s.NetConn().(*memnet.Conn)
			p := &peer{t: t, nc: raw}
			playOpen(s, p)
		})
		noErr(t, err)
		raw.In().SetBuffer(0)
		begin := time.Now()
		mustIs(t, c.Close(bg), ErrTimeout)
		<-c.Done()
		if d := time.Since(begin); d != time.Second {
			t.Errorf("took %s", d)
		}
		_ = raw.Close()
	})
}

// playOpen plays a whole handshake over s.
func playOpen(s *tls.Conn, p *peer) {
	b := make([]byte, 4096)
	for _, m := range []wire.Method{start(), tune(), &wire.ConnectionOpenOk{}} {
		_, _ = s.Read(b)
		frame, _ := wire.AppendMethod(nil, 0, m)
		_, _ = s.Write(frame)
	}
}

func TestTLSIsAskedForAtEachDial(t *testing.T) {
	asked := 0
	cfg := Config{
		Addr: "h:1",
		TLS: func(context.Context) (*tls.Config, error) {
			asked++
			return nil, map[int]error{1: errors.New("vault sealed")}[asked]
		},
		DialContext: func(context.Context, string, string) (net.Conn, error) { panic("dialled without TLS") },
	}
	for _, want := range []string{"vault sealed", "returned nil"} {
		_, err := Dial(bg, cfg)
		if e := mustAs[*DialError](t, err); e.Step != "tls" || !strings.Contains(e.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

// An address that is not the name in the certificate: what is renewed is named too, and nothing that is shared changes.
func TestTLSForHost(t *testing.T) {
	shared, named := &tls.Config{}, &tls.Config{ServerName: "s"}
	current := shared
	source := TLSSource(func(context.Context) (*tls.Config, error) { return current, nil }).ForHost("rabbit")
	if got, err := source(bg); err != nil || got.ServerName != "rabbit" || shared.ServerName != "" {
		t.Errorf("%v, server name %q, the caller's %q", err, got.ServerName, shared.ServerName)
	}
	current = named
	if got, err := source(bg); err != nil || got != named {
		t.Errorf("%v, server name %q", err, got.ServerName)
	}
	current = nil
	if got, err := source(bg); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if TLSSource(nil).ForHost("h") != nil || FixedTLS(nil) != nil {
		t.Error("no source has become one")
	}
}

func TestTLSFiles(t *testing.T) {
	authority := pki.NewAuthority(t, "a")
	ca, _ := authority.Write(t)
	cert, key := authority.Issue(t, "first").Write(t)
	files := TLSFiles{CA: ca, Cert: cert, Key: key, ServerName: "s"}
	loaded, err := files.Load(bg)
	noErr(t, err)
	if loaded.RootCAs == nil || len(loaded.Certificates) != 1 || loaded.ServerName != "s" || loaded.MinVersion != tls.VersionTLS12 || loaded.InsecureSkipVerify {
		t.Errorf("%+v", loaded)
	}
	authority.Issue(t, "second").Replace(t, cert, key)
	if again, err := files.Load(bg); err != nil || again.Certificates[0].Leaf.Subject.CommonName != "second" {
		t.Errorf("not read again: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	noErr(t, os.WriteFile(empty, nil, 0o600))
	for _, bad := range []TLSFiles{{CA: "/nowhere/ca.pem"}, {CA: empty}, {Cert: cert, Key: "/nowhere/key.pem"}, {Cert: cert}, {Cert: key, Key: cert}} {
		if _, err := bad.Load(bg); err == nil || !strings.Contains(err.Error(), ".pem") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, block := range []*pem.Block{
		{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0x30, 0}},
		{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{0x30, 0}},
	} {
		encrypted := filepath.Join(t.TempDir(), "encrypted.pem")
		noErr(t, os.WriteFile(encrypted, pem.EncodeToMemory(block), 0o600))
		if _, err := (TLSFiles{Cert: cert, Key: encrypted}).Load(bg); !errors.Is(err, errEncryptedKey) || !strings.Contains(err.Error(), encrypted) {
			t.Errorf("%s: %v", block.Type, err)
		}
	}
	if c, err := (TLSFiles{}).Load(bg); err != nil || c.RootCAs != nil || c.Certificates != nil {
		t.Errorf("%+v, %v", c, err)
	}
}
