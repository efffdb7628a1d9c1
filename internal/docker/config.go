package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"strings"
)

// configDir is where RabbitMQ looks for its configuration.
const configDir = "/etc/rabbitmq"

// configure copies the configuration into the created container. A copy, and not a mount, leaves no file
// behind on the host and also reaches an engine on another machine.
func (b *Broker) configure(ctx context.Context, o Options) error {
	archive, err := tarball(configFiles(o))
	if err != nil {
		return err
	}
	_, err = run(ctx, archive, "cp", "-", b.id+":"+configDir)
	return err
}

// configFiles returns the configuration's files by name.
func configFiles(o Options) map[string][]byte {
	lines := append([]string{"loopback_users = none"}, o.Conf...)
	files := map[string][]byte{}
	if o.TLS != nil {
		lines = append(lines,
			"listeners.ssl.default = 5671",
			"ssl_options.cacertfile = "+configDir+"/ca.pem",
			"ssl_options.certfile = "+configDir+"/cert.pem",
			"ssl_options.keyfile = "+configDir+"/key.pem")
		if o.TLS.RequireClient {
			lines = append(lines, "ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true")
		} else {
			lines = append(lines, "ssl_options.verify = verify_none", "ssl_options.fail_if_no_peer_cert = false")
		}
		files["ca.pem"], files["cert.pem"], files["key.pem"] = o.TLS.CA, o.TLS.Cert, o.TLS.Key
	}
	if len(o.Plugins) > 0 {
		files["enabled_plugins"] = []byte("[" + strings.Join(o.Plugins, ",") + "].\n")
	}
	files["rabbitmq.conf"] = []byte(strings.Join(lines, "\n") + "\n")
	return files
}

// tarball packs files that everyone may read: the broker's user has another number in every image.
func tarball(files map[string][]byte) (*bytes.Buffer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	return &archive, w.Close()
}
