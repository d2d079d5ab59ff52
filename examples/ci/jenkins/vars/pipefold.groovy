// A step of a shared library: `pipefold 'start'`, `pipefold 'finish'`, or `pipefold { … }` around both.

/** Runs the body as a run: for scripted pipelines, on a node. What the body throws is thrown on. */
def call(Closure body) {
    call('start')
    try {
        body()
    } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException interrupted) {
        call('finish', interrupted.result.toString())
        throw interrupted
    } catch (Throwable failure) {
        call('finish', 'FAILURE')
        throw failure
    }
    call('finish')
}

/** Tells DX of one moment. Whatever goes wrong with that, the build goes on. */
def call(String moment, String result = null) {
    if (!isUnix()) {
        return
    }
    def secrets = [string(credentialsId: 'dx-api-url', variable: 'DX_API_URL'),
                   string(credentialsId: 'dx-api-token', variable: 'DX_API_TOKEN')]
    try {
        withCredentials(secrets) {
            withEnv(["DX_MOMENT=${moment}", "DX_RESULT=${result ?: currentBuild.currentResult}"]) {
                sh label: "pipefold ${moment}", script: '''
                    if [ -z "${DX_API_TOKEN:-}" ]; then
                        exit 0
                    elif ! command -v pipefold >/dev/null 2>&1; then
                        echo "pipefold is not in PATH: this build is not reported to DX" >&2
                    elif [ "$DX_MOMENT" = start ]; then
                        pipefold start || true
                    else
                        case "$DX_RESULT" in
                            SUCCESS) status=success ;;
                            FAILURE | UNSTABLE) status=failure ;;
                            ABORTED) status=cancelled ;;
                            *) status=unknown ;;
                        esac
                        pipefold finish --status "$status" || true
                    fi
                '''
            }
        }
    } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException interrupted) {
        throw interrupted
    } catch (org.jenkinsci.plugins.credentialsbinding.impl.CredentialNotFoundException none) {
        return
    } catch (Exception trouble) {
        echo "pipefold: this build is not reported to DX: ${trouble.message}"
    }
}
