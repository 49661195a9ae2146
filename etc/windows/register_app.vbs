' Makes the COM+ application that hosts the shadow copy provider, or removes it:
'
'   cscript //nologo register_app.vbs /register
'   cscript //nologo register_app.vbs /unregister
'
' Exit 0 is success, 1 that it failed; then it has said why, and taken back what it had made.
'
' VSS runs hardware providers outside its own process. RMVSSPRV.dll has to be registered (regsvr32)
' before; its class becomes a component of an application that runs as a service of the local system,
' and that administrators and the system may call.
Option Explicit

Const NAME = "RM Shadow Copy Provider"
Const SERVICE = "RMVSSPRV"
Const CLASS_ID = "{7EE029C4-8EB4-4A12-9A85-891820483EA9}"

' COM+ authentication 6 is packet privacy, impersonation level 2 identify, capability 2 secure
' references.
Const PACKET_PRIVACY = 6
Const IDENTIFY = 2
Const SECURE_REFERENCES = 2

Dim catalog, applications, action
action = ""
If WScript.Arguments.Count = 1 Then action = LCase(WScript.Arguments(0))
If action <> "/register" And action <> "/unregister" Then
    WScript.Echo "register_app.vbs: expected /register or /unregister"
    WScript.Quit 1
End If

' What fails in a procedure ends it, and is seen behind its call.
On Error Resume Next
Open
If Err.Number = 0 Then Remove
QuitIfFailed "COM+"
If action = "/register" Then
    Register
    If Err.Number <> 0 Then
        Complain "COM+", Err.Number, Err.Description
        Err.Clear
        ' Half an application would host nothing and be in the way of the next.
        Remove
        QuitIfFailed "what was made until then could not be removed"
        WScript.Quit 1
    End If
End If

Sub QuitIfFailed(where)
    If Err.Number = 0 Then Exit Sub
    Complain where, Err.Number, Err.Description
    WScript.Quit 1
End Sub

Sub Complain(where, number, description)
    WScript.Echo "register_app.vbs: " & where & ": 0x" & Hex(number) & " " & description
End Sub

Sub Open()
    Set catalog = CreateObject("COMAdmin.COMAdminCatalog")
    Set applications = catalog.GetCollection("Applications")
End Sub

Sub Remove()
    Dim index
    applications.Populate
    For index = applications.Count - 1 To 0 Step -1
        If applications.Item(index).Name = NAME Then
            ShutDown applications.Item(index).Key
            applications.Remove index
        End If
    Next
    applications.SaveChanges
End Sub

' Ends the process of an application and takes its service away. One that has neither is fine; one
' that goes on all the same shows by a DLL that cannot be deleted.
Sub ShutDown(key)
    On Error Resume Next
    catalog.ShutdownApplication key
    catalog.DeleteServiceForApplication key
    Err.Clear
End Sub

Sub Register()
    Dim application, roles, role, users
    Set application = applications.Add
    application.Value("Name") = NAME
    application.Value("Description") = "Hosts RMVSSPRV.dll, the shadow copy provider of RAID Manager"
    application.Value("ApplicationAccessChecksEnabled") = 1
    application.Value("Authentication") = PACKET_PRIVACY
    application.Value("AuthenticationCapability") = SECURE_REFERENCES
    application.Value("ImpersonationLevel") = IDENTIFY
    applications.SaveChanges

    catalog.CreateServiceForApplication NAME, SERVICE, "SERVICE_AUTO_START", _
        "SERVICE_ERROR_NORMAL", "", ".\localsystem", "", 0
    catalog.ImportComponent NAME, CLASS_ID

    Set roles = applications.GetCollection("Roles", application.Key)
    roles.Populate
    Set role = roles.Add
    role.Value("Name") = "Administrators"
    roles.SaveChanges
    Set users = roles.GetCollection("UsersInRole", role.Key)
    users.Populate
    users.Add.Value("User") = ".\" & Administrators()
    users.Add.Value("User") = "SYSTEM"
    users.SaveChanges
End Sub

' The name of the group of administrators in the language of this system.
Function Administrators()
    Dim account
    Set account = GetObject("winmgmts:\\.\root\cimv2:Win32_SID.SID='S-1-5-32-544'")
    Administrators = account.AccountName
End Function
