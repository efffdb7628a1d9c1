package live

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/internal/pki"
)

// secured is a broker that wants client certificates, and offers every mechanism.
type secured struct {
	*docker.Broker
	authority *pki.Authority
	client    pki.Pair
}

func runSecured(t *testing.T) secured {
	t.Helper()
	authority := pki.NewAuthority(t, "warren test authority")
	server := authority.Issue(t, "broker", "localhost", "rabbit.example", "127.0.0.1")
	b := dockertest.Run(t, docker.MainVersion, docker.Options{
		TLS:     &docker.TLS{CA: authority.Cert, Cert: server.Cert, Key: server.Key, RequireClient: true},
		Plugins: []string{"rabbitmq_auth_mechanism_ssl"},
		Conf: []string{
			"ssl_cert_login_from = common_name", "auth_mechanisms.1 = PLAIN", "auth_mechanisms.2 = AMQPLAIN",
			"auth_mechanisms.3 = EXTERNAL", "auth_mechanisms.4 = RABBIT-CR-DEMO", "auth_mechanisms.5 = ANONYMOUS",
		},
	})
	for _, args := range [][]string{{"add_user", "orders", "Δ/@:%"}, {"set_permissions", "orders", ".*", ".*", ".*"}} {
		if out, err := b.Exec(t.Context(), append([]string{"rabbitmqctl"}, args...)...); err != nil {
			t.Fatal(out, err)
		}
	}
	return secured{b, authority, authority.Issue(t, "orders")}
}

// config is what connects to the broker, with its TLS changed.
func (s secured) config(t *testing.T, changes ...func(*tls.Config)) core.Config {
	secure := &tls.Config{RootCAs: s.authority.Pool(), Certificates: []tls.Certificate{s.client.TLS(t)}}
	for _, change := range changes {
		change(secure)
	}
	return core.Config{Addr: s.TLSAddr(), Heartbeat: 10 * time.Second, TLS: core.FixedTLS(secure)}
}

// dialAs is a Config's DialContext that reaches addr whatever host is dialled.
func dialAs(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// works opens a connection, publishes, and gets the message back.
func works(t *testing.T, cfg core.Config) *core.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := core.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	ch, err := c.Channel(ctx)
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare(ctx, core.QueueDeclare{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(ctx, core.ConfirmSelect{}); err != nil {
		t.Fatal(err)
	}
	conf, err := ch.PublishConfirm(ctx, &core.Publishing{RoutingKey: q.Queue, Mandatory: true, Body: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := conf.Wait(ctx); err != nil || v.Outcome != core.OutcomeConfirmed {
		t.Fatal(v, err)
	}
	d, err := ch.Get(ctx, core.BasicGet{Queue: q.Queue})
	if err != nil || d == nil || string(d.Body) != "hello" {
		t.Fatal(d, err)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// refused dials and returns the error that must come within the handshake's time.
func refused(t *testing.T, cfg core.Config) *core.DialError {
	t.Helper()
	cfg.HandshakeTimeout = 8 * time.Second
	c, err := core.Dial(t.Context(), cfg)
	if err == nil {
		_ = c.Close(context.Background())
		t.Fatal("connected")
	}
	e, ok := errs.AsType[*core.DialError](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	if errors.Is(err, core.ErrTimeout) {
		t.Errorf("took until the timeout: %v", err)
	}
	return e
}

func TestTLS(t *testing.T) {
	s := runSecured(t)
	t.Run("good", func(t *testing.T) {
		var shared *tls.Config
		works(t, s.config(t, func(c *tls.Config) { shared = c }))
		if shared.ServerName != "" || shared.MinVersion != 0 {
			t.Error("the caller's configuration was changed")
		}
	})
	t.Run("host name of the certificate", func(t *testing.T) {
		cfg := s.config(t)
		cfg.Addr, cfg.DialContext = "rabbit.example:5671", dialAs(s.TLSAddr())
		works(t, cfg)
	})
	t.Run("from a url", func(t *testing.T) {
		ca, _ := s.authority.Write(t)
		cert, key := s.client.Write(t)
		cfg, err := core.ParseURL("amqps://orders:%CE%94%2F%40%3A%25@" + s.TLSAddr() + "/%2f?cacertfile=" + ca + "&certfile=" + cert + "&keyfile=" + key +
			"&server_name_indication=rabbit.example&auth_mechanism=plain&verify=verify_peer&heartbeat=10&connection_timeout=8000")
		if err != nil {
			t.Fatal(err)
		}
		works(t, cfg)
	})
	t.Run("certificates renewed between two dials", func(t *testing.T) {
		stranger := pki.NewAuthority(t, "stranger").Issue(t, "orders")
		ca, _ := s.authority.Write(t)
		cert, key := stranger.Write(t)
		cfg := core.Config{Addr: s.TLSAddr(), TLS: core.TLSFiles{CA: ca, Cert: cert, Key: key}.Load}
		refused(t, cfg)
		s.client.Replace(t, cert, key)
		works(t, cfg)
	})
	t.Run("expired", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) { c.Time = func() time.Time { return time.Now().Add(72 * time.Hour) } })
		e, ok := errs.AsType[x509.CertificateInvalidError](refused(t, cfg))
		if !ok || e.Reason != x509.Expired {
			t.Error(e)
		}
	})
	t.Run("wrong host", func(t *testing.T) {
		cfg := s.config(t)
		cfg.Addr, cfg.DialContext = "other.example:5671", dialAs(s.TLSAddr())
		err := refused(t, cfg)
		if _, ok := errs.AsType[x509.HostnameError](err); !ok || err.Step != "tls" {
			t.Error(err)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) { c.RootCAs = pki.NewAuthority(t, "stranger").Pool() })
		if _, ok := errs.AsType[x509.UnknownAuthorityError](refused(t, cfg)); !ok {
			t.Error("another error")
		}
	})
	t.Run("no client certificate", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) { c.Certificates = nil })
		if err := refused(t, cfg); !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
	t.Run("expired client certificate", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) {
			c.Certificates = []tls.Certificate{s.authority.IssueUntil(t, time.Now().Add(-time.Hour), "orders").TLS(t)}
		})
		if err := refused(t, cfg); !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
	t.Run("client certificate of an unknown authority", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) {
			c.Certificates = []tls.Certificate{pki.NewAuthority(t, "stranger").Issue(t, "orders").TLS(t)}
		})
		if err := refused(t, cfg); !strings.Contains(err.Error(), "certificate") && !strings.Contains(err.Error(), "unknown") {
			t.Error(err)
		}
	})
	t.Run("plain text to the tls port", func(t *testing.T) {
		err := refused(t, core.Config{Addr: s.TLSAddr()})
		if !strings.Contains(err.Error(), "TLS") {
			t.Errorf("no hint: %v", err)
		}
	})
	t.Run("tls to the plain port", func(t *testing.T) {
		cfg := s.config(t)
		cfg.Addr = s.Addr()
		if err := refused(t, cfg); err.Step != "tls" || !strings.Contains(err.Hint, "5671") {
			t.Errorf("no hint: %v", err)
		}
	})
	t.Run("mechanisms", func(t *testing.T) { testMechanisms(t, s) })
}

// crDemo is RabbitMQ's demonstration of a challenge, as an application would add a mechanism.
type crDemo struct{}

func (crDemo) Name() string { return "RABBIT-CR-DEMO" }

func (crDemo) Respond(round int, _ []byte, c core.Credentials) ([]byte, error) {
	if round == 0 {
		return []byte(c.Username), nil
	}
	return []byte("My password is " + string(c.Password)), nil
}

func testMechanisms(t *testing.T, s secured) {
	login := core.Login("orders", "Δ/@:%")
	plain := func(m ...core.Mechanism) core.Config {
		return core.Config{Addr: s.Addr(), Credentials: login, Mechanisms: m}
	}
	for name, m := range map[string]core.Mechanism{
		"PLAIN": core.Plain(), "AMQPLAIN": core.AMQPlain(), "RABBIT-CR-DEMO": crDemo{}, "ANONYMOUS": core.Anonymous(),
	} {
		t.Run(name, func(t *testing.T) { works(t, plain(m)) })
	}
	t.Run("EXTERNAL", func(t *testing.T) {
		cfg := s.config(t)
		cfg.Mechanisms = []core.Mechanism{core.External()}
		works(t, cfg)
	})
	t.Run("EXTERNAL is preferred with a certificate", func(t *testing.T) {
		cfg := s.config(t)
		cfg.Credentials = core.Login("nobody", "wrong")
		works(t, cfg)
	})
	t.Run("EXTERNAL for a name the broker does not know", func(t *testing.T) {
		cfg := s.config(t, func(c *tls.Config) { c.Certificates = []tls.Certificate{s.authority.Issue(t, "stranger").TLS(t)} })
		if err := refused(t, cfg); !errors.Is(err, core.ErrAuth) {
			t.Error(err)
		}
	})
	t.Run("EXTERNAL without TLS", func(t *testing.T) {
		if err := refused(t, plain(core.External())); !errors.Is(err, core.ErrNoMechanism) {
			t.Error(err)
		}
	})
	t.Run("CRAM-MD5 is not offered", func(t *testing.T) {
		if err := refused(t, plain(core.CRAMMD5())); !errors.Is(err, core.ErrNoMechanism) {
			t.Error(err)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		for _, m := range []core.Mechanism{core.Plain(), core.AMQPlain(), crDemo{}} {
			cfg := plain(m)
			cfg.Credentials = core.Login("orders", "S3cr3t-wrong")
			err := refused(t, cfg)
			if !errors.Is(err, core.ErrAuth) || !errors.Is(err, core.ErrAccessRefused) || err.Step != "auth" {
				t.Error(m.Name(), err)
			}
			if strings.Contains(err.Error(), "S3cr3t") {
				t.Errorf("%v shows the password", err)
			}
		}
	})
	t.Run("unknown vhost", func(t *testing.T) {
		cfg := plain(core.Plain())
		cfg.VHost = "nowhere"
		if err := refused(t, cfg); !errors.Is(err, core.ErrNotAllowed) || errors.Is(err, core.ErrAuth) || err.Step != "open" {
			t.Error(err)
		}
	})
	t.Run("update-secret", func(t *testing.T) {
		c := works(t, plain(core.Plain()))
		if err := c.UpdateSecret(t.Context(), "Δ/@:%", "rotation"); err != nil {
			t.Error(err)
		}
	})
}
