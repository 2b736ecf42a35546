package plan

import (
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// handler is the part that probes and hooks share: an address within the pod.
type handler struct {
	path *field.Path
	host string
	port *intstr.IntOrString
}

func handlersOf(c corev1.Container, path *field.Path) []handler {
	var all []handler
	for _, p := range namedProbes(c) {
		all = append(all, addressesOf(p.HTTPGet, p.TCPSocket, path.Child(p.name))...)
	}
	if c.Lifecycle == nil {
		return all
	}
	for _, hook := range []struct {
		name string
		hook *corev1.LifecycleHandler
	}{{name: "preStop", hook: c.Lifecycle.PreStop}, {name: "postStart", hook: c.Lifecycle.PostStart}} {
		if hook.hook != nil {
			all = append(all, addressesOf(hook.hook.HTTPGet, hook.hook.TCPSocket, path.Child("lifecycle", hook.name))...)
		}
	}
	return all
}

func addressesOf(http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, path *field.Path) []handler {
	var all []handler
	if http != nil {
		all = append(all, handler{path: path.Child("httpGet"), host: http.Host, port: &http.Port})
	}
	if tcp != nil {
		all = append(all, handler{path: path.Child("tcpSocket"), host: tcp.Host, port: &tcp.Port})
	}
	return all
}

// ownHook returns the exec or httpGet hook that the user wrote for the server, or nil.
func (s server) ownHook() *corev1.LifecycleHandler {
	if hook := preStopOf(*s.written); hook != nil && (hook.Exec != nil || hook.HTTPGet != nil) {
		return hook
	}
	return nil
}

// notInOrder finds shell syntax that may run a wait more than once, never or out of order: loops, branches, background commands, pipes,
// quoted words.
var notInOrder = regexp.MustCompile("(?:^|[\\s;])(?:while|until|for|if|case|function)\\s|[|&'\"$`]")

// wait is the duration of an exec hook, as far as its command shows it.
type wait struct {
	seconds float64
	// exact: the command does nothing but wait. Else another command may take time too.
	exact bool
}

// onlyWait matches a command that only waits: sleep 5, /bin/sleep 2.5, exec sleep 1m.
var onlyWait = regexp.MustCompile(`^(?:exec\s+)?(?:/\S*/)?sleep\s+([0-9]+(?:\.[0-9]+)?)([smhd]?)$`)

// comment matches a comment of a shell script.
var comment = regexp.MustCompile(`(?m)(?:^|\s)#.*$`)

// readableWait adds up the waits that stand in an exec hook's command; ok reports whether there is any, in a command that
// simply runs from left to right.
func readableWait(hook *corev1.LifecycleHandler) (w wait, ok bool) {
	if hook == nil || hook.Exec == nil {
		return wait{}, false
	}
	command := strings.Join(hook.Exec.Command, " ")
	if script, isShell := shellScript(hook.Exec.Command); isShell && script != "" {
		command = script
	}
	command = strings.ReplaceAll(comment.ReplaceAllString(command, ""), "&&", ";")
	if notInOrder.MatchString(command) {
		return wait{}, false
	}
	w.exact = true
	units := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
	for part := range strings.FieldsFuncSeq(command, func(r rune) bool { return r == ';' || r == '\n' }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		found := onlyWait.FindStringSubmatch(part)
		if found == nil {
			w.exact = false
			continue
		}
		if n, err := strconv.ParseFloat(found[1], 64); err == nil {
			w.seconds, ok = w.seconds+n*units[found[2]], true
		}
	}
	return w, ok
}

// checkHookDuration: SIGTERM follows as soon as the hook returns. A hook that waits less than t2 makes t2 shorter than declared, and one that
// waits more shortens the time of the shutdown. Beside another command, the sum of the waits is a lower bound of the hook's duration.
func checkHookDuration(in *input, s server) field.ErrorList {
	w, ok := readableWait(s.ownHook())
	t2 := in.timing.PreStopSeconds
	if !ok || w.seconds == float64(t2) || !w.exact && w.seconds < float64(t2) {
		return nil
	}
	return invalid(s.path.Child("lifecycle", "preStop", "exec", "command"),
		strings.Join(s.ownHook().Exec.Command, " "),
		"the hook waits %g s, but preStopSeconds (t2) is %d; write sleep %d, or set spec.timing.preStopSeconds to %g",
		w.seconds, t2, t2, w.seconds)
}
