// Package management asks RabbitMQ's management API what a virtual host has,
// for package topology/compare.
package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// Client asks one broker about one virtual host. It is safe for concurrent use.
type Client struct {
	URL      string      // of the API without its path: http://localhost:15672
	VHost    string      // default "/"
	Username string      // it needs the tag "management"; default guest, with the password guest
	Password core.Secret // without a Username an error, unless it is empty too

	// HTTP does the requests; default a client with a timeout of 30 s.
	HTTP *http.Client
}

// maxAnswer bounds an answer of the API: some hundred thousand queues.
const maxAnswer = 256 << 20

var defaultHTTP = &http.Client{Timeout: 30 * time.Second}

// Topology returns the exchanges, queues and bindings of the virtual host,
// the predeclared ones too. It is an inventory for package topology/compare.
//
// The API shows less of an argument than the broker knows: whole numbers and times
// come as int64, whatever their width, other numbers as float64, bytes as text, nil
// as "undefined". Comparisons know that.
//
// Errors: [*StatusError] if the API refuses, what net/http says if it cannot
// be reached, and answers that are not understood or larger than 256 MiB.
func (c *Client) Topology(ctx context.Context) (topology.Topology, error) {
	var t topology.Topology
	var exchanges []exchange
	var queues []queue
	var bindings []binding
	for _, part := range []struct {
		path string
		into any
	}{{"exchanges", &exchanges}, {"queues", &queues}, {"bindings", &bindings}} {
		if err := c.get(ctx, part.path, part.into); err != nil {
			return t, fmt.Errorf("management API: %s: %w", part.path, err)
		}
	}
	for _, e := range exchanges {
		t.Exchanges = append(t.Exchanges, e.topology())
	}
	for _, q := range queues {
		t.Queues = append(t.Queues, q.topology())
	}
	for _, b := range bindings {
		t.Bindings = append(t.Bindings, b.topology())
	}
	return t, nil
}

// StatusError is a refusal of the API.
type StatusError struct {
	Status int    // the HTTP status
	Reason string // what the API said, if anything
}

// Error returns the status and the reason.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusUnauthorized {
		text += ": wrong credentials, or a user without the tag management"
	}
	if e.Reason != "" {
		text += fmt.Sprintf(" (%q)", e.Reason)
	}
	return text
}

var errNoUsername = errors.New("a password without a username: set Username")

// get asks for a list and decodes it.
func (c *Client) get(ctx context.Context, list string, into any) error {
	vhost, user, password := c.VHost, c.Username, string(c.Password)
	if vhost == "" {
		vhost = "/"
	}
	switch {
	case user == "" && password == "":
		user, password = "guest", "guest"
	case user == "":
		return errNoUsername
	}
	address := strings.TrimSuffix(c.URL, "/") + "/api/" + list + "/" + url.PathEscape(vhost)
	if list == "queues" {
		address += "?disable_stats=true&enable_queue_totals=true"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(user, password)
	client := c.HTTP
	if client == nil {
		client = defaultHTTP
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // all that is wanted of it is read
	return decode(response, into)
}

func decode(response *http.Response, into any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var said struct{ Reason string }
		_ = json.Unmarshal(body, &said) // what else it may be is of no use
		return &StatusError{response.StatusCode, said.Reason}
	}
	if len(body) > maxAnswer {
		return errors.New("the answer is larger than 256 MiB")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return d.Decode(into)
}
