package session

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
)

// class is what a failed attempt to connect means for the next one.
type class uint8

const (
	// passing: the network, or a server that is not up yet.
	passing class = iota
	// refused: the server will not have this client as it is: credentials,
	// vhost, which are the cluster's, or the certificates of every endpoint. Trying
	// soon again changes nothing and may lock an account.
	refused
	// hopeless: the request itself is wrong; no server would take it.
	hopeless

	classes // how many there are
)

// classOf sorts the error of a failed attempt.
func classOf(err error) class {
	if _, ok := errs.AsType[*core.ValidationError](err); ok {
		return hopeless
	}
	if errors.Is(err, core.ErrAuth) || errors.Is(err, core.ErrNoMechanism) {
		return refused
	}
	if e := core.AsError(err); e != nil && e.Server {
		if e.Says(core.ErrAccessRefused) || e.Says(core.ErrNotAllowed) || e.Says(core.ErrInvalidPath) {
			return refused
		}
		return passing
	}
	if isCertificate(err) {
		return refused
	}
	return passing
}

func isCertificate(err error) bool {
	if _, ok := errs.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errs.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errs.AsType[x509.HostnameError](err); ok {
		return true
	}
	_, ok := errs.AsType[tls.AlertError](err)
	return ok
}
