package docker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
)

// within bounds one step of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestEveryVersionStartsAndIsWhatItSays(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, version := range docker.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := dockertest.Run(t, version, docker.Options{})
			got, err := b.Exec(within(t, time.Minute), "rabbitmqctl", "version")
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("RABBITMQ_IMAGE") == "" && !strings.HasPrefix(got, version) {
				t.Errorf("the broker is RabbitMQ %s, want %s", got, version)
			}
		})
	}
}

// TestFaults works on one broker, because starts are slow; each step leaves it ready for the next.
func TestFaults(t *testing.T) {
	t.Parallel() // it mostly waits
	b := dockertest.Run(t, docker.MainVersion, docker.Options{})
	for _, step := range []struct {
		name string
		test func(*testing.T, *docker.Broker)
	}{
		{"a paused broker accepts and stays silent", pauseIsSilent},
		{"data and address survive kill and start", killKeepsDataAndAddress},
		{"stop is graceful", stopIsGraceful},
	} {
		t.Run(step.name, func(t *testing.T) { step.test(t, b) })
	}
}

func pauseIsSilent(t *testing.T, b *docker.Broker) {
	ctx := within(t, time.Minute)
	if err := b.Pause(ctx); err != nil {
		t.Fatal(err)
	}
	if err := docker.Hello(ctx, b.Addr()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Hello to a paused broker = %v, want a timeout", err)
	}
	if err := b.Unpause(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.WaitReady(ctx); err != nil {
		t.Error(err)
	}
}

func killKeepsDataAndAddress(t *testing.T, b *docker.Broker) {
	ctx, addr := within(t, 2*time.Minute), b.Addr()
	if _, err := b.Exec(ctx, "rabbitmqctl", "add_vhost", "kept"); err != nil {
		t.Fatal(err)
	}
	if err := b.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := docker.Hello(ctx, addr); err == nil {
		t.Error("a killed broker answers")
	}
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if b.Addr() != addr {
		t.Errorf("address %s after the restart, %s before", b.Addr(), addr)
	}
	if vhosts, err := b.Exec(ctx, "rabbitmqctl", "list_vhosts", "--silent"); err != nil || !strings.Contains(vhosts, "kept") {
		t.Errorf("virtual hosts after the restart: %q, %v", vhosts, err)
	}
}

func stopIsGraceful(t *testing.T, b *docker.Broker) {
	ctx := within(t, time.Minute)
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if logs, err := b.Logs(ctx); err != nil || !strings.Contains(logs, "SIGTERM") {
		t.Errorf("the broker's log does not mention SIGTERM (%v)", err)
	}
}

// selfSigned returns a certificate for 127.0.0.1 that is its own authority, and its key.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestConfigurationReachesTheBroker(t *testing.T) {
	t.Parallel() // it mostly waits
	cert, key := selfSigned(t)
	b := dockertest.Run(t, docker.MainVersion, docker.Options{
		Conf:     []string{"channel_max = 77"},
		Plugins:  []string{"rabbitmq_management"},
		Env:      map[string]string{"WARREN_TEST": "1"},
		Hostname: "elsewhere",
		Publish:  []int{15672},
		TLS:      &docker.TLS{CA: cert, Cert: cert, Key: key},
	})
	ctx := within(t, time.Minute)
	for command, want := range map[string]string{
		"rabbitmqctl --silent eval {application:get_env(rabbit,channel_max),node(),os:getenv(\"WARREN_TEST\")}.": `{{ok,77},rabbit@elsewhere,"1"}`,
		"rabbitmq-plugins list --silent --enabled --minimal":                                                     "rabbitmq_management",
	} {
		if got, err := b.Exec(ctx, strings.Fields(command)...); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want %q", command, got, err, want)
		}
	}
	if answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(b.Port(15672))); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("management plugin: %v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	conn, err := tls.Dial("tcp", b.TLSAddr(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestBrokerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel() // it mostly waits
	image := dockertest.Image(t, docker.MainVersion)
	ctx := within(t, time.Minute)
	b, err := docker.Run(ctx, docker.Options{Image: image, Conf: []string{"no_such_key = 1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Remove(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if err := b.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "has stopped") {
		t.Errorf("WaitReady = %v, want that the broker has stopped", err)
	}
}

func TestFailedRunLeavesNothingBehind(t *testing.T) {
	image := dockertest.Image(t, docker.MainVersion)
	ctx := within(t, time.Minute)
	if _, err := docker.Run(ctx, docker.Options{Image: image, Network: "warren-no-such-network"}); err == nil {
		t.Fatal("Run on a network that does not exist succeeded")
	}
	out, err := exec.CommandContext(ctx, "docker", "ps", "--all", "--quiet", "--filter",
		"label="+docker.LabelPID+"="+strconv.Itoa(os.Getpid())).Output()
	if err != nil || len(out) > 0 {
		t.Errorf("containers left: %q, %v", out, err)
	}
}

func TestSweepRemovesOnlyWhatTheDeadLeft(t *testing.T) {
	image := dockertest.Image(t, docker.MainVersion)
	ctx := within(t, time.Minute)
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	mine := create(ctx, t, image, os.Getpid())
	orphan := create(ctx, t, image, child.Process.Pid)
	if n, err := docker.Sweep(ctx); err != nil || n < 1 {
		t.Errorf("Sweep = %d, %v", n, err)
	}
	if exec.CommandContext(ctx, "docker", "inspect", orphan).Run() == nil {
		t.Error("the container of a dead process is still there")
	}
	if err := exec.CommandContext(ctx, "docker", "rm", mine).Run(); err != nil {
		t.Errorf("the container of a live process: %v", err)
	}
}

// create creates a container labelled as owned by process pid.
func create(ctx context.Context, t *testing.T, image string, pid int) string {
	t.Helper()
	labels := docker.Labels()
	labels[docker.LabelPID] = strconv.Itoa(pid)
	args := []string{"create"}
	for name, value := range labels {
		args = append(args, "--label", name+"="+value)
	}
	out, err := exec.CommandContext(ctx, "docker", append(args, image)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
