package core

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/warren-mq/warren/internal/errs"
)

// ParseURL turns an AMQP URL into a [Config]:
//
//	amqp://user:password@host:port/vhost?heartbeat=10
//
// Everything but the scheme may be left out; the defaults are those of
// Config, and amqps means TLS with the system's certificate authorities.
// User, password and vhost are percent-decoded: "/%2f" is the vhost "/", and
// so is no path at all, and "/" with nothing behind it.
//
// Query parameters are RabbitMQ's: heartbeat (seconds), connection_timeout
// (milliseconds), channel_max, frame_max, connection_name, auth_mechanism
// (several, most preferred first), and for amqps cacertfile, certfile, keyfile
// (read at each dial) and server_name_indication. An unknown one is an error,
// and so is verify=verify_none: no URL turns verification off.
//
// No error shows the password. (RabbitMQ, "URI Specification".)
func ParseURL(raw string) (Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Config{}, errBadURL(withoutURL(err))
	}
	var cfg Config
	port := ""
	switch u.Scheme {
	case "amqp":
		port = "5672"
	case "amqps":
		port = "5671"
		cfg.TLS = TLSFiles{}.Load
	default:
		return Config{}, errBadURL(fmt.Errorf("scheme %q: want amqp or amqps", u.Scheme))
	}
	if u.Opaque != "" || u.OmitHost {
		return Config{}, errBadURL(fmt.Errorf(`%s: without "//" behind it`, u.Scheme))
	}
	if strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") {
		// Most likely a password with "/", "?" or "#" in it: say nothing of what stands there.
		return Config{}, errBadURL(errors.New(`"@" behind the host: special characters in user, password and vhost must be percent-encoded`))
	}
	if u.Fragment != "" {
		return Config{}, errBadURL(errors.New(`a "#" must be written %23`))
	}
	host := u.Hostname()
	if host == "" {
		host = "localhost"
	}
	if u.Port() != "" {
		port = u.Port()
	}
	cfg.Addr = net.JoinHostPort(host, port)
	if cfg.VHost, err = vhostOf(u); err != nil {
		return Config{}, errBadURL(err)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		cfg.Credentials = Login(u.User.Username(), password)
	}
	if err := cfg.applyQuery(u.RawQuery); err != nil {
		return Config{}, errBadURL(err)
	}
	return cfg, nil
}

// vhostOf decodes the path, which is one segment.
func vhostOf(u *url.URL) (string, error) {
	path := u.EscapedPath()
	if path == "" {
		return "/", nil
	}
	segment := path[1:]
	if strings.Contains(segment, "/") {
		return "", errors.New("the vhost is one segment; write %2f for a slash in its name")
	}
	return url.PathUnescape(segment)
}

func errBadURL(err error) error {
	return &ValidationError{Method: "url", Err: err}
}

// withoutURL drops the URL, which holds the password, from an error of
// net/url. What is left of it may quote a part of the URL, so only its kind
// is told where that part may be the password.
func withoutURL(err error) error {
	e, ok := errs.AsType[*url.Error](err)
	if !ok {
		return errors.New("not a url")
	}
	switch text := e.Err.Error(); {
	case strings.HasPrefix(text, "first path segment"), strings.HasPrefix(text, "missing protocol scheme"):
		return errors.New("the scheme is missing: want amqp://… or amqps://…")
	case strings.HasPrefix(text, "invalid port"):
		return errors.New("invalid port, or a password that is not percent-encoded")
	default:
		return errors.New("not a valid url; special characters in user, password and vhost must be percent-encoded")
	}
}
