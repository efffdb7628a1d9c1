//go:build unix

package docker

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of the context end the processes that cmd started
// too. The shell of the build is asked, so that it removes its directory.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}
