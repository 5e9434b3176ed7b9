package org.jenkinsci.plugins.workflow.libs

class GlobalLibraries {
    static final GlobalLibraries INSTANCE = new GlobalLibraries()
    // What is called when they are read the next time.
    Closure meanwhile
    private List libraries = []

    static GlobalLibraries get() { return INSTANCE }

    List getLibraries() {
        List read = libraries
        Closure once = meanwhile
        meanwhile = null
        once?.call()
        return read
    }

    void setLibraries(List all) { libraries = all }
}
