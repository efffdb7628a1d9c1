package document

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// plain returns an error for each argument of t that can be written in this
// package's own form only: RabbitMQ would take it for a table.
func plain(t topology.Topology) error {
	var errs []error
	for entity := range t.Entities() {
		args, err := argumentsOf(entity).Canonical()
		if err == nil {
			err = plainTable(args, "")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", entity, err))
		}
	}
	return errors.Join(errs...)
}

func argumentsOf(entity topology.Entity) topology.Table {
	switch e := entity.(type) {
	case topology.Exchange:
		return e.Arguments
	case topology.Queue:
		return e.Arguments
	case topology.Binding:
		return e.Arguments
	}
	return nil
}

func plainTable(t topology.Table, path string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(t)) {
		errs = append(errs, plainValue(t[key], join(path, key)))
	}
	return errors.Join(errs...)
}

func plainValue(v any, path string) error {
	lacking := ""
	switch v := v.(type) {
	case topology.Table:
		if len(v) == 1 && strings.HasPrefix(slices.Collect(maps.Keys(v))[0], "$") {
			lacking = "a table of one key that begins with $"
			break
		}
		return plainTable(v, path)
	case []any:
		var errs []error
		for i, item := range v {
			errs = append(errs, plainValue(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return errors.Join(errs...)
	case string:
		if !utf8.ValidString(v) {
			lacking = "a string that is not UTF-8"
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			lacking = fmt.Sprint(v)
		}
	case float32:
		lacking = "a number of 32 bits: make it a float64"
	case []byte:
		lacking = "bytes: make them a string if they are UTF-8"
	case nil:
		lacking = "nothing: an import refuses it"
	case time.Time:
		lacking = "a time"
	case core.Decimal:
		lacking = "a decimal: make it a float64"
	}
	if lacking == "" {
		return nil
	}
	return fmt.Errorf("%s cannot be in definitions, which have no way to write %s", path, lacking)
}
