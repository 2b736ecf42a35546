package plan

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// shells run a command as a child process unless it begins with exec, and do not forward signals to it.
var shells = []string{"sh", "bash", "ash", "dash"}

// shellScript returns the script that a command passes to a shell; ok is false if the command does not begin with a shell.
func shellScript(command []string) (script string, ok bool) {
	if len(command) == 0 || !slices.Contains(shells, path.Base(command[0])) {
		return "", false
	}
	for i, word := range command[1:] {
		// -c may stand among other letters: -ec, -lc.
		if strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.Contains(word, "c") && i+2 < len(command) {
			return command[i+2], true
		}
	}
	return "", true
}

// warnShellCommand: a shell that is PID 1 does not forward SIGTERM, so the app does not shut down and the kubelet kills it at t3.
func warnShellCommand(in *input, s server) []string {
	script, ok := shellScript(launched(slices.Concat(s.written.Command, s.written.Args)))
	if !ok || script == "" || execsLast(script) != nil {
		return nil
	}
	if in.drainsBySidecar() {
		return warning("container %q starts its server from a shell without exec, so SIGTERM may not reach the server, and the pod may end only after %d s "+
			"(t3); no request is in flight then; write exec before the server's command, or leave the shell out", s.written.Name,
			in.timing.TerminationGracePeriodSeconds)
	}
	return warning("container %q starts its server from a shell without exec, so SIGTERM may reach the shell but not the server; "+
		"write exec before the server's command, or leave the shell out", s.written.Name)
}

// execsLast returns the last command of a script, if it replaces the shell. It splits the script at separators of commands and ignores quotes:
// a wrong answer only adds or omits a warning.
func execsLast(script string) []string {
	commands := strings.FieldsFunc(script, func(r rune) bool { return r == ';' || r == '\n' || r == '&' || r == '|' })
	for _, command := range slices.Backward(commands) {
		if words := strings.Fields(command); len(words) > 1 && words[0] == "exec" {
			return words[1:]
		} else if len(words) > 0 {
			return nil
		}
	}
	return nil
}

// warnHookShell: images without a shell are usual, and a hook that cannot start is only logged (FailedPreStopHook).
func warnHookShell(_ *input, s server) []string {
	hook := s.ownHook()
	if hook == nil || hook.Exec == nil {
		return nil
	}
	if _, ok := shellScript(hook.Exec.Command); !ok {
		return nil
	}
	return warning("container %q has a preStop hook that needs %s in the image: without it the hook fails and SIGTERM comes at once; "+
		"leave the hook out to get Kubernetes' own sleep, which needs no program", s.written.Name, hook.Exec.Command[0])
}

// stopSignalOf returns the container's lifecycle.stopSignal. It is "" where Kubernetes sends the image's stop signal, by default SIGTERM.
func stopSignalOf(c *corev1.Container) corev1.Signal {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return ""
	}
	return *c.Lifecycle.StopSignal
}

func checkStopSignal(_ *input, s server) field.ErrorList {
	if stopSignalOf(s.written) != corev1.SIGKILL {
		return nil
	}
	return field.ErrorList{field.Invalid(s.path.Child("lifecycle", "stopSignal"), corev1.SIGKILL,
		"no app can handle it, so every request in flight would be cut at t2; leave it out, or name the signal on which the app shuts down")}
}

func warnStopSignal(_ *input, s server) []string {
	signal := stopSignalOf(s.written)
	if signal == "" || signal == corev1.SIGTERM || signal == corev1.SIGKILL {
		return nil
	}
	return warning("container %q is stopped by %s instead of SIGTERM; check that the app shuts down gracefully on it",
		s.written.Name, signal)
}
