package topology

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// measured writes the text of an argument with its size or time in a unit that two
// values have in common and that reads well: "86400000 (24h0m0s)", "7D (168h0m0s)".
// What has no unit stays as it is.
func measured(field, text string) string {
	if d, ok := timeOf(field, text); ok {
		return fmt.Sprintf("%s (%s)", text, d)
	}
	if strings.HasSuffix(field, "-bytes") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 1<<10 {
			return fmt.Sprintf("%s (%s)", text, binarySize(n))
		}
	}
	return text
}

// timeOf returns the time that an argument stands for, if it is one that fits.
func timeOf(field, text string) (time.Duration, bool) {
	unit := time.Millisecond
	switch field {
	case "x-message-ttl", "x-expires", "x-consumer-timeout", "x-consumer-disconnected-timeout", "x-delayed-retry-min", "x-delayed-retry-max":
	case maxAge:
		if !age.MatchString(text) {
			return 0, false
		}
		last := len(text) - 1
		unit, text = ageUnits[text[last]], text[:last]
	default:
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > int64(1<<63-1)/int64(unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// sameAge reports whether two values of x-max-age are the same time, in whatever
// units. RabbitMQ 4.3 takes them for the same, earlier versions do not.
func sameAge(a, b any) bool {
	x, aText := a.(string)
	y, bText := b.(string)
	one, ok := timeOf(maxAge, x)
	two, too := timeOf(maxAge, y)
	return aText && bText && ok && too && one == two
}

const maxAge = "x-max-age"

// ageUnits are those of x-max-age, as RabbitMQ counts them.
var ageUnits = map[byte]time.Duration{
	'Y': 365 * 24 * time.Hour, 'M': 30 * 24 * time.Hour, 'D': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second,
}

// binarySize writes a size of at least a KiB in the largest unit that it reaches.
func binarySize(n int64) string {
	units, size := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}, float64(n)/(1<<10)
	for size >= 1<<10 {
		size, units = size/(1<<10), units[1:]
	}
	return strconv.FormatFloat(float64(int64(size*100))/100, 'f', -1, 64) + " " + units[0]
}
