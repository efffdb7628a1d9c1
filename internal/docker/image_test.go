package docker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeDocker puts a shell script in place of the docker command. In it, $* are the arguments.
func fakeDocker(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("RABBITMQ_IMAGE", "")
}

func TestImageIsFoundInOrder(t *testing.T) {
	const answers = `case "$*" in version*) exit 0;; esac; `
	tests := []struct {
		name, env, version, docker, want string
		progress                         []string
	}{
		{"the environment decides", "mine:1", "4.3", `exit 1`, "mine:1", nil},
		{"built here before", "", "4.0", `case "$*" in *warren-rabbitmq:4.0) exit 0;; esac; exit 1`, "warren-rabbitmq:4.0", nil},
		{"official and present", "", "4.3", `case "$*" in "image inspect "*rabbitmq:4-management) exit 0;; esac; exit 1`, "rabbitmq:4-management", nil},
		{
			"official and pulled", "", "3.10", `case "$*" in "pull --quiet rabbitmq:3.10-management") exit 0;; esac; exit 1`,
			"rabbitmq:3.10-management", []string{"pulling rabbitmq:3.10-management"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fakeDocker(t, answers+tt.docker)
			t.Setenv("RABBITMQ_IMAGE", tt.env)
			var lines []string
			got, err := Image(t.Context(), tt.version, func(line string) { lines = append(lines, line) })
			if err != nil || got != tt.want || !slices.Equal(lines, tt.progress) {
				t.Errorf("Image = %q, %v with progress %q; want %q with %q", got, err, lines, tt.want, tt.progress)
			}
		})
	}
}

func TestImageOfUnknownVersionSaysWhatToDo(t *testing.T) {
	fakeDocker(t, `case "$*" in version*) exit 0;; pull*) echo "no route to the registry" >&2;; esac; exit 1`)
	_, err := Image(t.Context(), "2.8", nil)
	for _, part := range []string{"RABBITMQ_IMAGE", "no route to the registry", "use 3.10, 4.0 or 4.3"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not say %q", err, part)
		}
	}
}

func TestNoEngineIsItsOwnError(t *testing.T) {
	fakeDocker(t, `echo "cannot connect" >&2; exit 1`)
	if err := Available(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.HasSuffix(err.Error(), "cannot connect") {
		t.Errorf("Available = %v", err)
	}
	if _, err := Image(t.Context(), MainVersion, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Image = %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := Available(t.Context()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Available without a docker command = %v", err)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	fakeDocker(t, `exec sleep 60`)
	cause := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	if _, err := run(ctx, nil, "info"); !errors.Is(err, cause) {
		t.Errorf("run = %v, want the context's cause", err)
	}
}

// fakeBuild puts fakes in place of what the build script calls; debootstrap runs the given script with the
// log of calls in $LOG.
func fakeBuild(t *testing.T, debootstrap string) (tmp string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the build script needs root")
	}
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("the build script needs util-linux")
	}
	fakeDocker(t, `case "$1" in import) cat >/dev/null; echo "$*" >>"$LOG";; *) exit 1;; esac`)
	dir, _, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("LOG", filepath.Join(dir, "log"))
	for name, script := range map[string]string{
		"apt-get":     `. /etc/os-release; echo "$VERSION_CODENAME main http://archive.invalid/debian/"`,
		"debootstrap": `echo "$*" >>"$LOG"; root=$4; ` + debootstrap,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tmp
}

// leftovers returns what the script left in its directory for temporary files, but for its lock.
func leftovers(t *testing.T, tmp string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(path string) bool { return filepath.Ext(path) == ".lock" })
}

func TestBuildImportsWhatDebootstrapMade(t *testing.T) {
	tmp := fakeBuild(t, `mkdir -p "$root/var/lib/rabbitmq" "$root/var/log/rabbitmq"`)
	var lines []string
	if err := build(t.Context(), "4.0", func(line string) { lines = append(lines, line) }); err != nil {
		t.Fatal(err)
	}
	log, _ := os.ReadFile(os.Getenv("LOG"))
	for _, part := range []string{" trixie ", " http://archive.invalid/debian/ ", `CMD ["rabbitmq-server"]`, "- warren-rabbitmq:4.0\n"} {
		if !strings.Contains(string(log), part) {
			t.Errorf("%q is missing in\n%s", part, log)
		}
	}
	if len(lines) == 0 || lines[len(lines)-1] != "warren-rabbitmq:4.0 is built" {
		t.Errorf("progress %q", lines)
	}
	if left := leftovers(t, tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFailedBuildSaysWhyAndCleansUp(t *testing.T) {
	tmp := fakeBuild(t, `mkdir -p "$root"; echo "no such suite" >&2; exit 1`)
	err := build(t.Context(), "4.0", func(string) {})
	if err == nil || !strings.Contains(err.Error(), "debootstrap trixie failed") {
		t.Errorf("build = %v", err)
	}
	if left := leftovers(t, tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelledBuildEndsAndCleansUp(t *testing.T) {
	tmp := fakeBuild(t, `mkdir -p "$root"; echo $$ >"$LOG.pid"; mkfifo "$LOG.fifo"; exec cat <"$LOG.fifo"`)
	ctx, cancel := context.WithCancel(t.Context())
	progress := func(line string) {
		if strings.HasPrefix(line, "building") {
			cancel()
		}
	}
	if err := build(ctx, "4.0", progress); err == nil {
		t.Error("a cancelled build succeeded")
	}
	if left := leftovers(t, tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
