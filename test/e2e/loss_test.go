//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// The demo is the test. It fails if the GracefulApp lost a request, and also if the plain Deployment lost none, because then the result proves
// nothing.
var _ = Describe("Under load, scaling and a rollout", Serial, func() {
	It("lose no request of a GracefulApp, while a plain Deployment loses some", func() {
		demo := exec.Command("../../bin/demo", "run", "--workload-image", image("gracefulapp-workload"),
			"--loadgen-image", image("gracefulapp-loadgen"))
		out, err := demo.CombinedOutput()
		GinkgoWriter.Print(string(out))
		kubectl("delete", "namespace", "graceful-demo", "--wait=false")
		skipIfTooBusy(demo, string(out))
		Expect(err).NotTo(HaveOccurred(), "the output of the demo is above")
	})
})

// The first spec runs the lab's short scenario. The second runs the lab with a policy that breaks the derived Deployment, to prove that the lab can
// fail. On a machine that is too slow for the load both are skipped; graceful_test.go tests the same without load.
var _ = Describe("The loss lab", Serial, func() {
	run := func(args ...string) (string, error) {
		lab := exec.Command("../../bin/lab", append([]string{
			"run", "--repeats", "1", "--json", GinkgoT().TempDir() + "/lab.json", "--cluster", os.Getenv("CLUSTER_NAME"), "--cluster-bin", "../../bin/cluster",
			"--workload-image", image("gracefulapp-workload"), "--hello-image", image("hello"),
			"--loadgen-image", image("gracefulapp-loadgen"),
			"--nginx-image", image("gracefulapp-lab-nginx"), "--haproxy-image", image("gracefulapp-lab-haproxy"),
		}, args...)...)
		out, err := lab.CombinedOutput()
		GinkgoWriter.Print(string(out))
		skipIfTooBusy(lab, string(out))
		return string(out), err
	}
	AfterEach(func() { kubectl("delete", "namespace", "graceful-lab", "--wait=false") })

	It("loses no request of any client", func() {
		_, err := run("quick")
		Expect(err).NotTo(HaveOccurred(), "the output of the lab is above")
	})

	It("fails when a policy removes the preStop hook", func() {
		out, err := run("--sabotage", "t2=0", "scale")
		Expect(err).To(HaveOccurred())
		Expect(out).To(MatchRegexp(`FAILED: aware, .*: \d+ of \d+ requests were lost`))
	})
})

// skipIfTooBusy skips the spec if the program exited with ExitTooBusy. The reason contains the figures that the program printed.
func skipIfTooBusy(program *exec.Cmd, out string) {
	GinkgoHelper()
	if program.ProcessState.ExitCode() == testbed.ExitTooBusy {
		Skip("proves nothing here: too busy\n" + tooBusyLines(out))
	}
}

// tooBusyLines returns the lines that have the figures of an overloaded machine.
func tooBusyLines(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "too busy") || strings.Contains(line, " late") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}
