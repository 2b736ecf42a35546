//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"
)

func yamlInto(text string, into any) error { return yaml.Unmarshal([]byte(text), into) }

// unseen are permissions that the audit log cannot show in use, each with the reason.
var unseen = map[string]string{
	"list":                               "client-go falls back to it where the API server has no streaming lists (Kubernetes before 1.35)",
	"create apps deployments":            "server-side apply of what is absent: the API server asks for it too, and logs a patch",
	"create  services":                   "likewise",
	"create policy poddisruptionbudgets": "likewise",
	"update apps.gracefulapp.dev gracefulapps/finalizers": "owner references, where the cluster enforces permission for them",
	"create authentication.k8s.io tokenreviews":           "a scrape of the metrics",
	"create authorization.k8s.io subjectaccessreviews":    "a scrape of the metrics",
	"patch  events": "leader election, if two replicas change places often",
}

// Every verb that the operator has must be in use, and none that it wants may be refused: the API server's own audit log tells, after all
// that the other tests have made it do.
var _ = AfterSuite(func() {
	file := os.Getenv("CLUSTER_AUDIT_LOG")
	if file == "" {
		GinkgoWriter.Println("CLUSTER_AUDIT_LOG is not set: this cluster's audit log cannot be read, and the operator's permissions are not compared with it")
		return
	}
	if suite, _ := GinkgoConfiguration(); len(suite.FocusStrings) > 0 {
		GinkgoWriter.Println("only some tests ran: the operator's permissions are not compared with the audit log")
		return
	}
	used, refused := audited(file)
	Expect(refused).To(BeEmpty(), "the operator wanted what it may not")
	Expect(len(used)).To(BeNumerically(">", 10), "the audit log shows next to nothing")
	var idle []string
	for _, permission := range permissions() {
		verb, _, _ := strings.Cut(permission, " ")
		if !used[permission] && unseen[permission] == "" && unseen[verb] == "" {
			idle = append(idle, permission)
		}
	}
	Expect(idle).To(BeEmpty(), "the operator may what it never does")
})

// audited are the operator's requests, as "verb group resource", and those that were refused.
func audited(file string) (used map[string]bool, refused []string) {
	GinkgoHelper()
	used = map[string]bool{}
	files, err := filepath.Glob(strings.TrimSuffix(file, ".log") + "*.log")
	Expect(err).NotTo(HaveOccurred())
	for _, name := range files {
		f, err := os.Open(name)
		Expect(err).NotTo(HaveOccurred())
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e auditv1.Event
			if json.Unmarshal(lines.Bytes(), &e) != nil || !strings.HasPrefix(e.User.Username, "system:serviceaccount:"+system+":") || e.ObjectRef == nil {
				continue
			}
			permission := fmt.Sprintf("%s %s %s", e.Verb, e.ObjectRef.APIGroup, withSub(e.ObjectRef.Resource, e.ObjectRef.Subresource))
			used[permission] = true
			if e.ResponseStatus != nil && e.ResponseStatus.Code == 403 && !slices.Contains(refused, permission) && !isVerdict(e.ResponseStatus.Message) {
				refused = append(refused, permission)
			}
		}
		Expect(lines.Err()).NotTo(HaveOccurred())
		Expect(f.Close()).To(Succeed())
	}
	return used, refused
}

// isVerdict tells a refusal of what was to be made from one of who makes it.
func isVerdict(message string) bool {
	return !strings.Contains(message, "User \"system:serviceaccount:")
}

func withSub(resource, sub string) string { return strings.TrimSuffix(resource+"/"+sub, "/") }

// permissions of the operator, as "verb group resource".
func permissions() []string {
	GinkgoHelper()
	var all []string
	for _, kind := range []string{"clusterroles", "roles"} {
		var list struct {
			Items []struct {
				Metadata struct{ Name string }
				Rules    []rbacv1.PolicyRule
			}
		}
		Expect(yamlInto(kubectl("get", kind, "-n", system, "-o", "yaml"), &list)).To(Succeed())
		for _, role := range list.Items {
			if !slices.Contains(operatorRoles, role.Metadata.Name) {
				continue
			}
			for _, rule := range role.Rules {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						for _, verb := range rule.Verbs {
							all = append(all, fmt.Sprintf("%s %s %s", verb, group, resource))
						}
					}
				}
			}
		}
	}
	Expect(len(all)).To(BeNumerically(">", 20))
	return all
}

// operatorRoles are bound to the operator's service account.
var operatorRoles = []string{
	"gracefulapp-manager-role", "gracefulapp-certificates-role", "gracefulapp-metrics-auth-role", "gracefulapp-leader-election-role",
}
