package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Sweep removes the containers that dead processes of this host have left behind, and their data. It
// returns how many it removed.
func Sweep(ctx context.Context) (int, error) {
	host, _ := os.Hostname()
	list, err := run(ctx, nil, "ps", "--all", "--filter", "label="+LabelHost+"="+host,
		"--format", `{{.ID}} {{.Label "`+LabelPID+`"}}`)
	if err != nil {
		return 0, fmt.Errorf("sweeping containers: %w", err)
	}
	removed := 0
	var errs []error
	for line := range strings.Lines(list) {
		id, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(owner)
		if err != nil || alive(pid) {
			continue
		}
		if _, err := run(ctx, nil, "rm", "--force", "--volumes", id); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// alive says whether a process with this id runs. When in doubt it does.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer process.Release()
	return !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
