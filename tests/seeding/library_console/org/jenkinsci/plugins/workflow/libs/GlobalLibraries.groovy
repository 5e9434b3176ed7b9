package org.jenkinsci.plugins.workflow.libs

class GlobalLibraries {
    static final GlobalLibraries INSTANCE = new GlobalLibraries()
    List libraries = []

    static GlobalLibraries get() { return INSTANCE }
}
