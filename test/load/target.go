package load

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TargetUsage describes the text form of a Target, which String writes and ParseTarget reads.
const TargetUsage = "NAME=URL,rate=N,mode=new|keep-alive|h2c|grpc|websocket[,connections=N][,method=POST][,body=BYTES][,delay=100ms][,expect][,trailers]: N requests per second"

// String returns the text form of the target.
func (t Target) String() string {
	text := fmt.Sprintf("%s=%s,rate=%g,mode=%s", t.Name, t.URL, t.Rate, t.Mode)
	if t.Connections > 0 {
		text += fmt.Sprintf(",connections=%d", t.Connections)
	}
	if t.Method != "" {
		text += ",method=" + t.Method
	}
	if t.Body > 0 {
		text += fmt.Sprintf(",body=%d", t.Body)
	}
	if t.Delay > 0 {
		text += fmt.Sprintf(",delay=%s", t.Delay)
	}
	if t.Expect {
		text += ",expect"
	}
	if t.Trailers {
		text += ",trailers"
	}
	return text
}

// ParseTarget parses the text form of a Target. The URL must not contain a comma.
func ParseTarget(text string) (Target, error) {
	name, rest, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return Target{}, fmt.Errorf("want %s, not %q", TargetUsage, text)
	}
	parts := strings.Split(rest, ",")
	t := Target{Name: name, URL: parts[0]}
	for _, part := range parts[1:] {
		if err := t.set(part); err != nil {
			return t, fmt.Errorf("target %s: %w", name, err)
		}
	}
	return t, t.check()
}

func (t *Target) set(setting string) error {
	key, value, _ := strings.Cut(setting, "=")
	var err error
	switch key {
	case "rate":
		t.Rate, err = strconv.ParseFloat(value, 64)
	case "mode":
		t.Mode = Mode(value)
	case "connections":
		t.Connections, err = strconv.Atoi(value)
	case "method":
		t.Method = value
	case "body":
		t.Body, err = strconv.Atoi(value)
	case "delay":
		t.Delay, err = time.ParseDuration(value)
	case "expect":
		t.Expect = true
	case "trailers":
		t.Trailers = true
	default:
		return fmt.Errorf("unknown setting %q; want %s", setting, TargetUsage)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}
